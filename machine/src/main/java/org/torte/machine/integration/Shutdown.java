package org.torte.machine.integration;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.function.BiConsumer;
import org.torte.base.StateInput;
import org.torte.base.StateOutput;
import org.torte.base.Timers;
import org.torte.machine.vmbus.ChannelOffer;

/**
 * Asks the guest to shut down or to restart. It answers that it will, and then does (Linux include/linux/hyperv.h,
 * {@code shutdown_msg_data}):
 *
 * <pre>
 *   0 reason                           4 bytes
 *   4 seconds the user has             4
 *   8 flags: 1 without asking          4
 *     programs, 2 restart, 4 hibernate
 *  12 what users are told, in UTF-16   2048
 * </pre>
 *
 * Safe for several threads.
 */
public final class Shutdown {
    static final int MESSAGE = 2048, BODY = 12 + MESSAGE;
    private static final int FORCE = 1, RESTART = 2;

    /** "Other, planned", as the system's own tools say it (Windows, SHTDN_REASON_FLAG_PLANNED). */
    private static final int REASON = 0x8000_0000;

    /** How long a guest may take to say yes or no. */
    private static final int LIMIT = 30;

    private static final int STATE_VERSION = 1;

    /** What the guest is to do. */
    public enum Kind {
        /** Power off. */
        POWER_OFF,
        /** Start anew. */
        RESTART
    }

    final ServiceLink link;

    Shutdown(Timers timers) {
        link = new ServiceLink(new Protocol(), timers);
    }

    /**
     * Asks.
     *
     * @param force also when programs object; Linux knows no difference
     * @param message what users are told; longer ones are cut at 1023 characters
     * @return completes, with the kind, when the guest has said that it will; exceptionally, with {@link ServiceException}, when it will
     *     not or does not answer. That it has done so shows in the end of the machine
     */
    public CompletableFuture<Kind> request(Kind kind, boolean force, String message) {
        PendingAnswer<Kind> answer = answer(kind);
        link.lock.lock();
        try {
            link.send(body(kind, force, message), LIMIT, answer);
        } finally {
            link.lock.unlock();
        }
        return answer.future();
    }

    /** Whether the guest can be asked. */
    public boolean isReady() {
        link.lock.lock();
        try {
            return link.isReady();
        } finally {
            link.lock.unlock();
        }
    }

    static byte[] body(Kind kind, boolean force, String message) {
        ByteBuffer body = ByteBuffer.allocate(BODY).order(ByteOrder.LITTLE_ENDIAN);
        body.putInt(REASON).putInt(0).putInt((force ? FORCE : 0) | (kind == Kind.RESTART ? RESTART : 0));
        byte[] text = message.getBytes(StandardCharsets.UTF_16LE);
        body.put(text, 0, Math.min(text.length, MESSAGE - 2));
        return body.array();
    }

    private static PendingAnswer<Kind> answer(Kind kind) {
        return new PendingAnswer<>((status, body) -> {
            if (status != ServiceMessage.OK) {
                throw new ServiceException(
                        "the guest refuses to shut down (status 0x%08x); turn it off instead".formatted(status));
            }
            return kind;
        });
    }

    private static final class Protocol implements Service {
        private static final ChannelOffer OFFER = new ChannelOffer(
                UUID.fromString("0e0b6031-5213-4934-818b-38d90ced39db"),
                UUID.fromString("b6650ff7-33bc-4840-8048-e0676786f393"),
                true);
        private static final List<ServiceVersion> VERSIONS = List.of(
                new ServiceVersion(3, 2), new ServiceVersion(3, 1), new ServiceVersion(3, 0), new ServiceVersion(1, 0));

        @Override
        public String name() {
            return "shutdown";
        }

        @Override
        public ChannelOffer offer() {
            return OFFER;
        }

        @Override
        public int type() {
            return ServiceMessage.SHUTDOWN;
        }

        @Override
        public List<ServiceVersion> versions() {
            return VERSIONS;
        }

        @Override
        public Reply afterRestore() {
            return answer(Kind.POWER_OFF);
        }

        @Override
        public int stateVersion() {
            return STATE_VERSION;
        }

        @Override
        public void save(StateOutput state) {}

        @Override
        public void restore(StateInput state) {}

        @Override
        public void inspect(BiConsumer<String, Object> sink) {}
    }
}
