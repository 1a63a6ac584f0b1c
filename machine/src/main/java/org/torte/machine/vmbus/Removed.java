package org.torte.machine.vmbus;

import java.util.UUID;
import java.util.function.BiConsumer;
import org.torte.base.StateInput;
import org.torte.base.StateOutput;

/** Stands for a device that is gone while the guest has not let go of its channel. */
enum Removed implements VmbusDevice {
    INSTANCE;

    private static final UUID NIL = new UUID(0, 0);

    @Override
    public ChannelOffer offer() {
        return new ChannelOffer(NIL, NIL, false);
    }

    @Override
    public void open(Channel channel) {}

    @Override
    public boolean serve(Channel channel) {
        return false;
    }

    @Override
    public void close(Channel channel) {}

    @Override
    public void reset() {}

    @Override
    public int stateVersion() {
        return 1;
    }

    @Override
    public void save(StateOutput state) {}

    @Override
    public void restore(StateInput state) {}

    @Override
    public void inspect(BiConsumer<String, Object> sink) {}
}
