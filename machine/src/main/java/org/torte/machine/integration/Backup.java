package org.torte.machine.integration;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.function.BiConsumer;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.torte.base.StateInput;
import org.torte.base.StateOutput;
import org.torte.base.Timers;
import org.torte.machine.vmbus.ChannelOffer;

/**
 * Has the guest freeze its file systems, so that a copy of its disks is whole, and thaw them. The guest is never left
 * frozen: it thaws when the time that was asked for is over, and when a machine that was saved frozen goes on. The body of
 * a message (Linux include/uapi/linux/hyperv.h, {@code hv_vss_msg}):
 *
 * <pre>
 *   0 operation: 2 is a backup possible,   1 byte
 *     5 freeze, 6 thaw
 *   1 reserved                             7
 *   8 in the answer to 2: how              4
 * </pre>
 *
 * Safe for several threads.
 */
public final class Backup {
    /** The longest time a guest may stay frozen, in seconds; Linux gives up after 15 minutes by itself. */
    public static final int MAX_HOLD = 600;

    static final int CHECK = 2, FREEZE = 5, THAW = 6;
    static final int BODY = 12;

    /** Seconds that a guest may take; file systems may have much to write before they are frozen. */
    private static final int CHECK_LIMIT = 40, FREEZE_LIMIT = 120, THAW_LIMIT = 40;

    private static final long NANOS_PER_SECOND = 1_000_000_000;
    private static final int STATE_VERSION = 1;

    /** Where the guest's file systems are. */
    public enum State {
        /** They work. */
        THAWED,
        /** The guest has been asked whether it can, or to freeze them. */
        FREEZING,
        /** Nothing is written to them. */
        FROZEN,
        /** The guest has been asked to thaw them. */
        THAWING
    }

    private final Timers timers;
    private final Timers.Timer timer;
    private final Consumer<State> listener;
    final ServiceLink link;

    private State state = State.THAWED;
    private int operation;
    private int hold;
    private long thawAt;
    /** The machine has been restored: who wanted it frozen is not there any more. */
    private boolean thawWanted;

    private @Nullable CompletableFuture<Void> freezing;
    private @Nullable CompletableFuture<Void> thawing;

    Backup(Timers timers, Consumer<State> listener) {
        this.timers = timers;
        this.listener = listener;
        timer = timers.create(this::holdIsOver);
        link = new ServiceLink(new Protocol(), timers);
    }

    /** What it is now. */
    public State state() {
        link.lock.lock();
        try {
            return state;
        } finally {
            link.lock.unlock();
        }
    }

    /**
     * Freezes the guest's file systems.
     *
     * @param seconds after how many seconds of the machine's time they are thawed at the latest, 1 to {@link #MAX_HOLD}
     * @return completes when they are frozen; exceptionally, with {@link ServiceException}, when they cannot be, in which
     *     case they work
     */
    public CompletableFuture<Void> freeze(int seconds) {
        if (seconds < 1 || seconds > MAX_HOLD) {
            throw new IllegalArgumentException("a guest is frozen for 1 to " + MAX_HOLD + " seconds, not " + seconds);
        }
        CompletableFuture<Void> future = new CompletableFuture<>();
        link.lock.lock();
        try {
            if (state != State.THAWED) {
                PendingAnswer.fail(
                        future, new ServiceException("the guest's file systems are " + text() + " already; thaw them"));
            } else {
                freezing = future;
                hold = seconds;
                change(State.FREEZING);
                ask(CHECK, CHECK_LIMIT);
            }
        } finally {
            link.lock.unlock();
        }
        return future;
    }

    /**
     * Thaws them; does nothing when they work.
     *
     * @return completes when they work; exceptionally, with {@link ServiceException}, when the guest does not say so
     */
    public CompletableFuture<Void> thaw() {
        link.lock.lock();
        try {
            switch (state) {
                case THAWED -> {
                    return CompletableFuture.completedFuture(null);
                }
                case FREEZING -> {
                    return CompletableFuture.failedFuture(new ServiceException(
                            "the guest's file systems are being frozen; wait until they are, then thaw them"));
                }
                case FROZEN -> beginThaw();
                case THAWING -> {}
            }
            CompletableFuture<Void> future = thawing == null ? new CompletableFuture<>() : thawing;
            if (state == State.THAWED) {
                // The guest could not even be asked.
                PendingAnswer.fail(future, new ServiceException("the guest's vss service is gone"));
            } else {
                thawing = future;
            }
            return future;
        } finally {
            link.lock.unlock();
        }
    }

    private String text() {
        return state.name().toLowerCase(java.util.Locale.ROOT);
    }

    private void change(State now) {
        if (state != now) {
            state = now;
            listener.accept(now);
        }
    }

    private void ask(int what, int limit) {
        operation = what;
        ByteBuffer body = ByteBuffer.allocate(BODY).order(ByteOrder.LITTLE_ENDIAN);
        body.put((byte) what);
        link.send(body.array(), limit, new Answer());
    }

    private void beginThaw() {
        timer.cancel();
        thawWanted = false;
        change(State.THAWING);
        ask(THAW, THAW_LIMIT);
    }

    private void holdIsOver() {
        link.lock.lock();
        try {
            if (state == State.FROZEN && timers.clock().nanos() >= thawAt) {
                beginThaw();
            }
        } finally {
            link.lock.unlock();
        }
    }

    private void frozen() {
        CompletableFuture<Void> future = freezing;
        freezing = null;
        change(State.FROZEN);
        if (future == null) {
            // Who wanted it is not there any more: this is a restored machine.
            beginThaw();
        } else {
            thawAt = timers.clock().nanos() + hold * NANOS_PER_SECOND;
            timer.arm(thawAt);
            future.completeAsync(() -> null);
        }
    }

    private void notFrozen(ServiceException why) {
        CompletableFuture<Void> future = freezing;
        freezing = null;
        change(State.THAWED);
        if (future != null) {
            PendingAnswer.fail(future, why);
        }
    }

    private void thawed(@Nullable ServiceException why) {
        CompletableFuture<Void> future = thawing;
        thawing = null;
        change(State.THAWED);
        if (future != null && why != null) {
            PendingAnswer.fail(future, why);
        } else if (future != null) {
            future.completeAsync(() -> null);
        }
    }

    private final class Answer implements Service.Reply {
        @Override
        public void answered(int status, ByteBuffer body) {
            ServiceException refused = status == ServiceMessage.OK
                    ? null
                    : new ServiceException(("the guest cannot %s its file systems (status 0x%08x); see in the guest"
                                    + " whether its daemon runs (Debian: hyperv-daemons) and what it logs")
                            .formatted(operation == THAW ? "thaw" : "freeze", status));
            switch (operation) {
                case CHECK -> {
                    if (refused == null) {
                        ask(FREEZE, FREEZE_LIMIT);
                    } else {
                        notFrozen(refused);
                    }
                }
                case FREEZE -> {
                    if (refused == null) {
                        frozen();
                    } else {
                        notFrozen(refused);
                    }
                }
                default -> thawed(refused);
            }
        }

        @Override
        public void lost(ServiceException why) {
            switch (operation) {
                case CHECK -> notFrozen(why);
                case FREEZE -> {
                    notFrozen(why);
                    if (link.isReady()) {
                        // It may still come to it.
                        change(State.THAWING);
                        ask(THAW, THAW_LIMIT);
                    }
                }
                default -> thawed(why);
            }
        }
    }

    private final class Protocol implements Service {
        private static final ChannelOffer OFFER = new ChannelOffer(
                UUID.fromString("35fa2e29-ea23-4236-96ae-3a6ebacba440"),
                UUID.fromString("2450ee40-33bf-4fbd-892e-9fb06e9214cf"),
                true);
        /** The first one with freeze and thaw. */
        private static final List<ServiceVersion> VERSIONS = List.of(new ServiceVersion(5, 0));

        @Override
        public String name() {
            return "vss";
        }

        @Override
        public ChannelOffer offer() {
            return OFFER;
        }

        @Override
        public int type() {
            return ServiceMessage.BACKUP;
        }

        @Override
        public List<ServiceVersion> versions() {
            return VERSIONS;
        }

        @Override
        public void resumed() {
            if (thawWanted && !link.isBusy() && state == State.FREEZING) {
                change(State.THAWED);
            } else if (thawWanted && !link.isBusy() && state != State.THAWED) {
                beginThaw();
            }
            thawWanted = false;
        }

        @Override
        public void gone() {
            timer.cancel();
            thawWanted = false;
            change(State.THAWED);
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
            out.putString(state.name()).putInt(operation);
        }

        @Override
        public void restore(StateInput in) {
            state = SavedEnum.read(in, State.class);
            operation = in.getInt();
            in.check(
                    operation == 0 || operation == CHECK || operation == FREEZE || operation == THAW,
                    "operation " + operation);
            thawWanted = true;
        }

        @Override
        public void inspect(BiConsumer<String, Object> sink) {
            sink.accept("state", state);
        }
    }
}
