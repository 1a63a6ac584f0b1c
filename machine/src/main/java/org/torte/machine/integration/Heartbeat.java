package org.torte.machine.integration;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;
import java.util.UUID;
import java.util.function.BiConsumer;
import java.util.function.Consumer;
import org.torte.base.StateInput;
import org.torte.base.StateOutput;
import org.torte.base.Timers;
import org.torte.machine.vmbus.ChannelOffer;

/**
 * Asks the guest every two seconds whether it is alive. The message is a number, which the guest returns plus one, and 32
 * reserved bytes (Linux include/linux/hyperv.h, {@code heartbeat_msg_data}). Safe for several threads.
 */
public final class Heartbeat {
    /** Between two questions, in nanoseconds of the machine's clock. */
    public static final long INTERVAL = 2_000_000_000L;

    /** After how many seconds without an answer the guest is given up. */
    static final int LIMIT = 10;

    static final int BODY = 40;
    private static final int STATE_VERSION = 1;

    /** How the guest does. */
    public enum State {
        /** The guest has no driver for it, or has not started it. */
        NO_CONTACT,
        /** It answers. */
        OK,
        /** It has answered, and does not any more. */
        LOST
    }

    /**
     * What is known of the guest.
     *
     * @param state how it does
     * @param answers how often it has answered since it started
     * @param age nanoseconds of the machine's clock since the last answer, -1 when there is none
     */
    public record Status(State state, long answers, long age) {}

    private final Timers timers;
    private final Timers.Timer timer;
    private final Consumer<State> listener;
    final ServiceLink link;

    private State state = State.NO_CONTACT;
    private long sequence;
    private long answers;
    private long lastAnswer;

    Heartbeat(Timers timers, Consumer<State> listener) {
        this.timers = timers;
        this.listener = listener;
        timer = timers.create(this::beat);
        link = new ServiceLink(new Protocol(), timers);
    }

    /** What is known now. */
    public Status status() {
        link.lock.lock();
        try {
            return new Status(state, answers, answers == 0 ? -1 : timers.clock().nanos() - lastAnswer);
        } finally {
            link.lock.unlock();
        }
    }

    private void beat() {
        link.lock.lock();
        try {
            if (!link.isReady()) {
                return;
            }
            timer.arm(timers.clock().nanos() + INTERVAL);
            if (!link.isBusy()) {
                sequence++;
                ByteBuffer body = ByteBuffer.allocate(BODY).order(ByteOrder.LITTLE_ENDIAN);
                body.putLong(0, sequence);
                link.send(body.array(), LIMIT, new Answer());
            }
        } finally {
            link.lock.unlock();
        }
    }

    private void change(State now) {
        if (state != now) {
            state = now;
            listener.accept(now);
        }
    }

    private final class Answer implements Service.Reply {
        @Override
        public void answered(int status, ByteBuffer body) {
            answers++;
            lastAnswer = timers.clock().nanos();
            change(State.OK);
        }

        @Override
        public void lost(ServiceException why) {
            if (link.isReady()) {
                change(State.LOST);
            }
        }
    }

    private final class Protocol implements Service {
        private static final ChannelOffer OFFER = new ChannelOffer(
                UUID.fromString("57164f39-9115-4e78-ab55-382f3bd5422d"),
                UUID.fromString("fd149e91-82e0-4a7d-afa6-2a4166cbd7c0"),
                true);
        private static final List<ServiceVersion> VERSIONS =
                List.of(new ServiceVersion(3, 0), new ServiceVersion(1, 0));

        @Override
        public String name() {
            return "heartbeat";
        }

        @Override
        public ChannelOffer offer() {
            return OFFER;
        }

        @Override
        public int type() {
            return ServiceMessage.HEARTBEAT;
        }

        @Override
        public List<ServiceVersion> versions() {
            return VERSIONS;
        }

        @Override
        public void ready() {
            timer.arm(timers.clock().nanos());
        }

        @Override
        public void gone() {
            timer.cancel();
            answers = 0;
            change(State.NO_CONTACT);
        }

        @Override
        public Reply afterRestore() {
            return new Answer();
        }

        @Override
        public int stateVersion() {
            return STATE_VERSION;
        }

        @Override
        public void save(StateOutput out) {
            out.putString(state.name()).putLong(sequence).putLong(answers).putLong(lastAnswer);
        }

        @Override
        public void restore(StateInput in) {
            state = SavedEnum.read(in, State.class);
            sequence = in.getLong();
            answers = in.getLong();
            lastAnswer = in.getLong();
            if (link.isReady()) {
                timer.arm(timers.clock().nanos());
            }
        }

        @Override
        public void inspect(BiConsumer<String, Object> sink) {
            sink.accept("state", state);
            sink.accept("answers", answers);
        }
    }
}
