package org.torte.machine.integration;

import java.nio.ByteBuffer;
import java.util.List;
import java.util.function.BiConsumer;
import org.torte.base.StateInput;
import org.torte.base.StateOutput;
import org.torte.machine.vmbus.ChannelOffer;

/** What one integration component adds to {@link ServiceLink}, which calls all of this with its lock held. */
interface Service {
    /** Hears what becomes of a request; exactly one of both is called, with the lock of the link held. */
    interface Reply {
        /** The guest has answered. */
        void answered(int status, ByteBuffer body);

        /** It has not, and will not. */
        void lost(ServiceException why);
    }

    /** What it is called in saved state. */
    String name();

    ChannelOffer offer();

    /** The type of its messages. */
    int type();

    /** The versions of its messages, best first. */
    List<ServiceVersion> versions();

    /** Guest and host have agreed on a version. */
    default void ready() {}

    /** The machine runs again, and the guest is ready. */
    default void resumed() {}

    /** The guest has closed the channel or has been reset; requests have been given up. */
    default void gone() {}

    /** Who hears of the answer to the request that was under way when the machine was saved. */
    Reply afterRestore();

    int stateVersion();

    void save(StateOutput state);

    void restore(StateInput state);

    void inspect(BiConsumer<String, Object> sink);
}
