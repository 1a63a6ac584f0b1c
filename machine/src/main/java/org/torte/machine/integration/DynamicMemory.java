package org.torte.machine.integration;

import java.nio.ByteBuffer;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.BiConsumer;
import org.jspecify.annotations.Nullable;
import org.torte.base.GuestMemory;
import org.torte.base.StateInput;
import org.torte.base.StateOutput;
import org.torte.machine.vmbus.BusHost;
import org.torte.machine.vmbus.Channel;
import org.torte.machine.vmbus.ChannelOffer;
import org.torte.machine.vmbus.Packet;
import org.torte.machine.vmbus.VmbusDevice;

/**
 * Dynamic memory: asks the guest to give up pages, which go back to the host, and gives them to it again. The size that is
 * wanted outlasts restarts of the guest. Memory beyond what the machine was made with is never added. Safe for several
 * threads.
 */
public final class DynamicMemory implements VmbusDevice {
    private static final ChannelOffer OFFER = new ChannelOffer(
            UUID.fromString("525074dc-8985-46e2-8057-a307dc18a502"),
            UUID.fromString("1eccfd72-4b41-45ef-b73a-4a6e44c12924"),
            false);

    /** Versions 0.3, 1.0 and 2.0, as the guest writes them. */
    private static final Set<Integer> VERSIONS = Set.of(3, 1 << 16, 2 << 16);

    /** The most pages that are asked for at once: 512 MiB, so that a guest answers soon. */
    private static final int MAX_REQUEST = 1 << 17;

    private static final int STATE_VERSION = 1;

    private enum Phase {
        CLOSED,
        /** The channel is open, and the guest has to name a version. */
        OPEN,
        /** A version is agreed on. */
        AGREED,
        READY
    }

    private enum Operation {
        NONE,
        /** The guest looks for pages to give up. */
        BALLOON,
        /** The guest takes pages back. */
        RETURN
    }

    /**
     * How the guest's memory is shared out, in bytes.
     *
     * @param ready whether the guest has a driver for it that works
     * @param total RAM of the machine
     * @param wanted what the guest is to have
     * @param assigned what it has
     * @param limited whether the guest gives up no more, though it has more than is wanted
     * @param available what the guest has not used, -1 when it has not said so
     * @param committed what the guest's programs have been promised, what it has given up included, -1 when it has not
     *     said so; this is its pressure
     * @param refused pages that the guest wanted to give up without having them or being asked for them
     * @param reports how often the guest has said how its memory is since this object was made: it says so once a second,
     *     so that one which does not grow is of a guest that has fallen silent
     */
    public record Status(
            boolean ready,
            long total,
            long wanted,
            long assigned,
            boolean limited,
            long available,
            long committed,
            long refused,
            long reports) {}

    private final long totalPages;
    private final BalloonPages balloon;
    private final ReentrantLock lock = new ReentrantLock();

    private Phase phase = Phase.CLOSED;
    private boolean running;
    private @Nullable Channel channel;
    private byte @Nullable [] unsent;
    private int transaction;
    private Operation operation = Operation.NONE;

    /** Pages that were asked for and have not come yet. */
    private long expected;

    private long wantedInBalloon;
    private boolean limited;
    private boolean canBalloon;
    private long available = -1;
    private long committed = -1;
    private long refused;
    private long reports;
    private @Nullable CompletableFuture<Status> waiting;

    DynamicMemory(BusHost host) {
        balloon = new BalloonPages(host);
        totalPages = host.memory().size() / GuestMemory.PAGE_SIZE;
    }

    /** What is known now. */
    public Status status() {
        lock.lock();
        try {
            return statusLocked();
        } finally {
            lock.unlock();
        }
    }

    private Status statusLocked() {
        return new Status(
                phase == Phase.READY,
                bytes(totalPages),
                bytes(totalPages - wantedInBalloon),
                bytes(totalPages - balloon.count()),
                limited,
                available < 0 ? -1 : bytes(available),
                committed < 0 ? -1 : bytes(committed),
                refused,
                reports);
    }

    private static long bytes(long pages) {
        return pages > Long.MAX_VALUE / GuestMemory.PAGE_SIZE ? Long.MAX_VALUE : pages * GuestMemory.PAGE_SIZE;
    }

    /**
     * Says how much memory the guest is to have, now and after it has started again.
     *
     * @param bytes what it is to have, 1 MiB up to the RAM of the machine
     * @return completes when it has that, or as little as it can live with; exceptionally, with {@link ServiceException},
     *     when the guest has no working driver or another size is wanted meanwhile
     */
    public CompletableFuture<Status> setSize(long bytes) {
        if (bytes < 1 << 20 || bytes > bytes(totalPages)) {
            throw new IllegalArgumentException("the guest can have 1 MiB to " + (bytes(totalPages) >> 20) + " MiB");
        }
        lock.lock();
        try {
            wantedInBalloon = totalPages - bytes / GuestMemory.PAGE_SIZE;
            limited = false;
            giveUpWaiting("another size is wanted meanwhile");
            if (phase != Phase.READY || !canBalloon) {
                return CompletableFuture.failedFuture(new ServiceException("the guest has no dynamic memory (Linux:"
                        + " the module hv_balloon); it will get this size when it starts it"));
            }
            CompletableFuture<Status> future = new CompletableFuture<>();
            waiting = future;
            next();
            return future;
        } finally {
            lock.unlock();
        }
    }

    private void giveUpWaiting(String why) {
        CompletableFuture<Status> future = waiting;
        waiting = null;
        if (future != null) {
            PendingAnswer.fail(future, new ServiceException(why));
        }
    }

    /** Begins what is next, if the guest is not busy. */
    private void next() {
        Channel open = channel;
        if (!running || open == null || unsent != null || phase != Phase.READY || operation != Operation.NONE) {
            return;
        }
        long more = wantedInBalloon - balloon.count();
        if (more > 0 && !limited && canBalloon) {
            operation = Operation.BALLOON;
            expected = Math.min(more, MAX_REQUEST);
            transmit(open, MemoryMessage.balloon(++transaction, (int) expected));
        } else if (more < 0) {
            operation = Operation.RETURN;
            int most =
                    Math.min(MemoryMessage.MAX_RANGES, (open.largestData() - MemoryMessage.RETURN_LENGTH) / Long.BYTES);
            transmit(open, MemoryMessage.giveBack(++transaction, balloon.giveBack(-more, most)));
        } else {
            CompletableFuture<Status> future = waiting;
            waiting = null;
            if (future != null) {
                Status status = statusLocked();
                future.completeAsync(() -> status);
            }
        }
    }

    private void transmit(Channel open, byte[] message) {
        unsent = open.sendInBand(0, false, message, message.length) ? null : message;
        open.flush();
    }

    // ---- what the guest sends

    @Override
    public boolean serve(Channel served) {
        lock.lock();
        try {
            byte[] message = unsent;
            if (message != null) {
                transmit(served, message);
            }
            while (unsent == null) {
                Packet packet = served.receive();
                if (packet == null) {
                    next();
                    return unsent == null;
                }
                if (packet.wantsCompletion()) {
                    // A guest that reads none has nothing to wait for.
                    boolean _ = served.sendCompletion(packet.transaction(), new byte[0], 0);
                }
                if (packet.type() == Packet.IN_BAND) {
                    handle(served, packet.data());
                }
            }
            return false;
        } finally {
            lock.unlock();
        }
    }

    /** Messages that are too short, or come when they should not, have no effect. */
    private void handle(Channel served, ByteBuffer message) {
        if (message.remaining() < MemoryMessage.HEADER) {
            return;
        }
        int type = message.getShort(0) & 0xffff;
        int length = Math.min(message.getShort(2) & 0xffff, message.remaining());
        int id = message.getInt(4);
        message.limit(length);
        switch (type) {
            case MemoryMessage.VERSION_REQUEST -> {
                if (phase == Phase.OPEN && length >= MemoryMessage.VERSION_REQUEST_LENGTH) {
                    boolean known = VERSIONS.contains(message.getInt(8));
                    phase = known ? Phase.AGREED : Phase.OPEN;
                    transmit(served, MemoryMessage.answer(MemoryMessage.VERSION_ANSWER, id, known));
                }
            }
            case MemoryMessage.CAPABILITIES -> {
                if (phase == Phase.AGREED && length >= MemoryMessage.CAPABILITIES_LENGTH) {
                    canBalloon = (message.getLong(8) & MemoryMessage.CAN_BALLOON) != 0;
                    phase = Phase.READY;
                    transmit(served, MemoryMessage.answer(MemoryMessage.CAPABILITIES_ANSWER, id, true));
                }
            }
            case MemoryMessage.STATUS -> {
                if (phase == Phase.READY && length >= MemoryMessage.STATUS_LENGTH) {
                    available = Math.max(0, message.getLong(8));
                    committed = Math.max(0, message.getLong(16));
                    reports++;
                }
            }
            case MemoryMessage.BALLOON_ANSWER -> {
                if (operation == Operation.BALLOON && length >= MemoryMessage.BALLOON_ANSWER_LENGTH) {
                    take(message);
                }
            }
            case MemoryMessage.RETURN_ANSWER -> {
                if (operation == Operation.RETURN) {
                    operation = Operation.NONE;
                    next();
                }
            }
            default -> {}
        }
    }

    private void take(ByteBuffer message) {
        int counts = message.getInt(12);
        message.position(MemoryMessage.BALLOON_ANSWER_LENGTH);
        long ranges = Math.min(counts >>> 1, message.remaining() / Long.BYTES);
        for (long i = 0; i < ranges; i++) {
            MemoryMessage.Range range = MemoryMessage.Range.parse(message.getLong());
            long taken = balloon.take(range, expected);
            expected -= taken;
            refused += range.count() - taken;
        }
        boolean last = (counts & 1) == 0;
        if (last) {
            operation = Operation.NONE;
            // A guest that gives up only a part has no more to give.
            limited = expected > 0;
            next();
        }
    }

    // ---- the bus and the machine

    @Override
    public ChannelOffer offer() {
        return OFFER;
    }

    @Override
    public void open(Channel opened) {
        lock.lock();
        try {
            forget();
            channel = opened;
            phase = Phase.OPEN;
        } finally {
            lock.unlock();
        }
    }

    @Override
    public void close(Channel closed) {
        lock.lock();
        try {
            forget();
        } finally {
            lock.unlock();
        }
    }

    /** A driver that ends has lost its pages or uses them again: in either case they are the guest's affair. */
    private void forget() {
        channel = null;
        phase = Phase.CLOSED;
        unsent = null;
        operation = Operation.NONE;
        limited = false;
        available = -1;
        committed = -1;
        balloon.clear();
        giveUpWaiting("the guest has ended its dynamic memory");
    }

    @Override
    public String name() {
        return "memory";
    }

    @Override
    public void start() {
        lock.lock();
        try {
            running = true;
            next();
        } finally {
            lock.unlock();
        }
    }

    @Override
    public void stop() {
        lock.lock();
        try {
            running = false;
        } finally {
            lock.unlock();
        }
    }

    @Override
    public void reset() {
        lock.lock();
        try {
            forget();
            refused = 0;
        } finally {
            lock.unlock();
        }
    }

    @Override
    public int stateVersion() {
        return STATE_VERSION;
    }

    @Override
    public void save(StateOutput state) {
        lock.lock();
        try {
            long[] bits = balloon.bits();
            state.putString(phase.name())
                    .putString(operation.name())
                    .putInt(transaction)
                    .putLong(expected)
                    .putLong(wantedInBalloon)
                    .putBoolean(limited)
                    .putBoolean(canBalloon)
                    .putLong(available)
                    .putLong(committed)
                    .putLong(refused)
                    .putBytes(unsent == null ? new byte[0] : unsent)
                    .putInt(bits.length)
                    .putLongs(bits);
        } finally {
            lock.unlock();
        }
    }

    @Override
    public void restore(StateInput state) {
        lock.lock();
        try {
            phase = SavedEnum.read(state, Phase.class);
            operation = SavedEnum.read(state, Operation.class);
            state.check((phase == Phase.CLOSED) == (channel == null), "dynamic memory that is " + phase);
            transaction = state.getInt();
            expected = state.getLong();
            wantedInBalloon = state.getLong();
            limited = state.getBoolean();
            canBalloon = state.getBoolean();
            available = state.getLong();
            committed = state.getLong();
            refused = state.getLong();
            byte[] packet = state.getBytes();
            state.check(
                    expected >= 0
                            && expected <= MAX_REQUEST
                            && wantedInBalloon >= 0
                            && wantedInBalloon < totalPages
                            && (packet.length == 0 || channel != null && packet.length <= channel.largestData()),
                    expected + " pages are expected, " + wantedInBalloon + " wanted");
            unsent = packet.length == 0 ? null : packet;
            int length = state.getInt();
            state.check(length >= 0 && length <= (1 << 28) / Long.SIZE, length + " words of pages");
            long[] bits = new long[length];
            state.getLongs(bits);
            state.check(balloon.restore(bits), "pages outside RAM");
        } finally {
            lock.unlock();
        }
    }

    @Override
    public void inspect(BiConsumer<String, Object> sink) {
        lock.lock();
        try {
            sink.accept("phase", phase);
            sink.accept("operation", operation);
            sink.accept("pages", balloon.count());
            sink.accept("refused", refused);
        } finally {
            lock.unlock();
        }
    }
}
