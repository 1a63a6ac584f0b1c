package org.torte.machine.storage;

import java.nio.ByteBuffer;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.UUID;
import java.util.function.BiConsumer;
import org.jspecify.annotations.Nullable;
import org.torte.base.StateInput;
import org.torte.base.StateOutput;
import org.torte.disk.VirtualDisk;
import org.torte.machine.vmbus.BusHost;
import org.torte.machine.vmbus.Channel;
import org.torte.machine.vmbus.ChannelOffer;
import org.torte.machine.vmbus.GuestRange;
import org.torte.machine.vmbus.Packet;
import org.torte.machine.vmbus.Vmbus;
import org.torte.machine.vmbus.VmbusDevice;

/**
 * A SCSI controller with up to {@value #MAX_UNITS} disks, which may be added and removed at any time. Disks belong to the
 * caller. Safe for several threads.
 */
public final class ScsiController implements VmbusDevice {
    /** How many disks there may be; units are counted from 0. */
    public static final int MAX_UNITS = 64;

    /** The most bytes of one request. */
    static final int MAX_TRANSFER = 256 << 10;

    /** How many requests of one channel are carried out at a time; others wait in the guest's ring. */
    static final int MAX_UNDER_WAY = 16;

    private static final int MAX_SUBCHANNELS = 7;
    private static final UUID INTERFACE = UUID.fromString("ba6163d9-04a1-4d29-b605-72e2ffb1dc7f");
    private static final Set<Integer> VERSIONS = Set.of(0x200, 0x402, 0x501, 0x600, 0x602);
    private static final int INQUIRY = 0x12, REPORT_LUNS = 0xa0;

    private final Vmbus bus;
    private final int number;
    private final UUID instance;
    private final int processors;

    /** Guards what follows. */
    private final Object lock = new Object();

    private final Map<Integer, Unit> units = new TreeMap<>();
    private final Map<Integer, Queue> queues = new TreeMap<>();
    /** The guest has begun and ended its initialization. */
    private boolean initialized;
    /** The guest is to look at the units anew. */
    private boolean unitsChanged;

    /** A disk and how many requests use it. */
    private static final class Unit {
        final ScsiDisk disk;
        int users;

        Unit(ScsiDisk disk) {
            this.disk = disk;
        }
    }

    /** An answer that found no room in the ring. */
    @SuppressWarnings("ArrayRecordComponent") // never compared
    private record Answer(long transaction, byte[] bytes) {}

    /** What is under way for one channel. */
    private static final class Queue {
        final Channel channel;
        final java.util.ArrayDeque<Answer> waiting = new java.util.ArrayDeque<>();
        int underWay;

        Queue(Channel channel) {
            this.channel = channel;
        }
    }

    /**
     * A controller without disks.
     *
     * @param number counts the machine's controllers from 0
     * @param instance what identifies it to the guest
     * @param processors how many the machine has; guests take more channels when there are more
     */
    public ScsiController(Vmbus bus, int number, UUID instance, int processors) {
        this.bus = bus;
        this.number = number;
        this.instance = instance;
        this.processors = processors;
    }

    /**
     * Adds a disk. A guest that is running finds it.
     *
     * @param unit its number, 0 to 63
     * @param identifier what identifies it to the guest; the same as long as it exists
     * @throws IllegalArgumentException when there is no such unit, or it has a disk
     */
    public void add(int unit, VirtualDisk disk, UUID identifier) {
        if (unit < 0 || unit >= MAX_UNITS) {
            throw new IllegalArgumentException("units are 0 to " + (MAX_UNITS - 1) + ", not " + unit);
        }
        synchronized (lock) {
            if (units.containsKey(unit)) {
                throw new IllegalArgumentException("unit " + unit + " has a disk already");
            }
            units.put(unit, new Unit(new ScsiDisk(disk, identifier)));
        }
        announce();
    }

    /** Removes a disk, also from under a guest that uses it. On return nothing uses it. */
    public void remove(int unit) {
        synchronized (lock) {
            Unit removed = units.remove(unit);
            if (removed == null) {
                return;
            }
            await(() -> removed.users == 0);
        }
        announce();
    }

    /** Tells the guest that a disk has another size now. */
    public void capacityChanged(int unit) {
        synchronized (lock) {
            Unit changed = units.get(unit);
            if (changed != null) {
                changed.disk.capacityChanged();
            }
        }
        announce();
    }

    private void announce() {
        Queue queue;
        synchronized (lock) {
            unitsChanged = true;
            queue = queues.get(0);
        }
        if (queue != null) {
            queue.channel.schedule();
        }
    }

    private void await(java.util.function.BooleanSupplier condition) {
        boolean interrupted = false;
        while (!condition.getAsBoolean()) {
            try {
                lock.wait();
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    // ---- the bus

    @Override
    public ChannelOffer offer() {
        return new ChannelOffer(INTERFACE, instance, false);
    }

    @Override
    public void open(Channel channel) {
        synchronized (lock) {
            queues.put(channel.subchannel(), new Queue(channel));
            if (channel.subchannel() == 0) {
                initialized = false;
            }
        }
    }

    @Override
    public void close(Channel channel) {
        synchronized (lock) {
            Queue queue = queues.remove(channel.subchannel());
            if (queue != null) {
                await(() -> queue.underWay == 0);
            }
        }
    }

    @Override
    public void stop() {
        synchronized (lock) {
            await(() -> queues.values().stream().allMatch(queue -> queue.underWay == 0));
        }
    }

    @Override
    public boolean serve(Channel channel) {
        Queue queue;
        synchronized (lock) {
            queue = queues.get(channel.subchannel());
            if (queue == null || !sendWaiting(queue) || !sendNotice(queue)) {
                return false;
            }
        }
        while (true) {
            synchronized (lock) {
                if (queue.underWay >= MAX_UNDER_WAY || !queue.waiting.isEmpty()) {
                    return false;
                }
            }
            Packet packet = channel.receive();
            if (packet == null) {
                return true;
            }
            StorageRequest request = StorageRequest.parse(packet.data());
            if (request != null) {
                handle(queue, packet, request);
            }
        }
    }

    private static boolean sendWaiting(Queue queue) {
        while (!queue.waiting.isEmpty()) {
            Answer answer = queue.waiting.element();
            if (!queue.channel.sendCompletion(answer.transaction, answer.bytes, answer.bytes.length)) {
                return false;
            }
            queue.waiting.remove();
        }
        return true;
    }

    private boolean sendNotice(Queue queue) {
        if (unitsChanged && initialized && queue.channel.subchannel() == 0) {
            byte[] notice = StorageRequest.notice(StorageRequest.ENUMERATE_BUS);
            if (!queue.channel.sendInBand(0, false, notice, notice.length)) {
                return false;
            }
            unitsChanged = false;
        }
        return true;
    }

    private void handle(Queue queue, Packet packet, StorageRequest request) {
        long transaction = packet.transaction();
        switch (request.operation()) {
            case StorageRequest.EXECUTE -> execute(queue, packet, request);
            case StorageRequest.BEGIN,
                    StorageRequest.RESET_ADAPTER,
                    StorageRequest.RESET_BUS,
                    StorageRequest.RESET_UNIT -> {
                // Requests end on their own: there is nothing to reset.
                complete(queue, transaction, request.succeeded());
            }
            case StorageRequest.END -> {
                synchronized (lock) {
                    initialized = true;
                    unitsChanged = false;
                }
                complete(queue, transaction, request.succeeded());
            }
            case StorageRequest.QUERY_VERSION ->
                complete(
                        queue,
                        transaction,
                        VERSIONS.contains(request.argument()) ? request.succeeded() : request.failed());
            case StorageRequest.QUERY_PROPERTIES ->
                complete(queue, transaction, request.properties(maxSubchannels(), MAX_TRANSFER));
            case StorageRequest.CREATE_SUBCHANNELS -> {
                int wanted = request.argument();
                boolean possible = wanted <= maxSubchannels() && queue.channel.subchannel() == 0;
                complete(queue, transaction, possible ? request.succeeded() : request.failed());
                if (possible) {
                    bus.offerSubchannels(this, wanted);
                }
            }
            default -> complete(queue, transaction, request.failed());
        }
    }

    private int maxSubchannels() {
        return Math.min(processors - 1, MAX_SUBCHANNELS);
    }

    private void execute(Queue queue, Packet packet, StorageRequest request) {
        BusHost host = queue.channel.host();
        long transaction = packet.transaction();
        GuestRange range = packet.range(host.memory());
        ScsiData data = new ScsiData(host, range);
        ByteBuffer command = request.command();
        int operation = command.get(0) & 0xff;
        if (packet.type() == Packet.GPA_DIRECT && range == null) {
            complete(queue, transaction, request.finished(Sense.INVALID_FIELD, 0));
            return;
        }
        if (operation == REPORT_LUNS) {
            Sense sense = request.atTarget() ? reportUnits(command, data) : reportNone(command, data);
            complete(queue, transaction, request.finished(sense, data.moved()));
            return;
        }
        Unit unit = take(queue, request);
        if (unit == null) {
            if (operation == INQUIRY) {
                // Linux takes failed inquiries for successful ones.
                data.answer(ScsiInquiry.nobody(), command.getShort(3) & 0xffff);
                complete(queue, transaction, request.finished(Sense.NONE, data.moved()));
            } else {
                complete(queue, transaction, request.noUnit());
            }
        } else if (ScsiDisk.blocks(operation)) {
            host.executor().execute(() -> carryOut(queue, transaction, request, command, unit, data));
        } else {
            carryOut(queue, transaction, request, command, unit, data);
        }
    }

    /** The unit that a request is for, which it uses from now on; null when there is none. */
    private @Nullable Unit take(Queue queue, StorageRequest request) {
        synchronized (lock) {
            Unit unit = request.atTarget() ? units.get(request.unit()) : null;
            if (unit != null) {
                unit.users++;
                queue.underWay++;
            }
            return unit;
        }
    }

    private void carryOut(
            Queue queue, long transaction, StorageRequest request, ByteBuffer command, Unit unit, ScsiData data) {
        Sense sense = Sense.HARDWARE_FAILURE;
        Throwable error = null;
        try {
            sense = unit.disk.execute(command, data);
        } catch (RuntimeException | Error e) {
            // Neither the guest nor the disk is to blame for what gets here.
            error = e;
        }
        StorageRequest answer = request.finished(sense, data.moved());
        boolean more;
        synchronized (lock) {
            more = queue.underWay == MAX_UNDER_WAY;
            send(queue, transaction, answer);
            queue.channel.flush();
            unit.users--;
            queue.underWay--;
            lock.notifyAll();
        }
        if (more) {
            queue.channel.schedule();
        }
        if (error != null) {
            queue.channel.host().failed().accept(error);
        }
    }

    private void complete(Queue queue, long transaction, StorageRequest answer) {
        synchronized (lock) {
            send(queue, transaction, answer);
        }
    }

    private static void send(Queue queue, long transaction, StorageRequest answer) {
        if (!queue.waiting.isEmpty() || !queue.channel.sendCompletion(transaction, answer.bytes(), answer.length())) {
            queue.waiting.add(new Answer(transaction, java.util.Arrays.copyOf(answer.bytes(), answer.length())));
        }
    }

    /** The list of units, in the simple form of one byte (SPC-4, section 6.33). */
    private Sense reportUnits(ByteBuffer command, ScsiData data) {
        byte[] list;
        synchronized (lock) {
            list = new byte[8 + 8 * units.size()];
            ByteBuffer out = ByteBuffer.wrap(list);
            out.putInt(8 * units.size()).putInt(0);
            for (int unit : units.keySet()) {
                out.putShort((short) unit).putShort((short) 0).putInt(0);
            }
        }
        data.answer(list, command.getInt(6) & Integer.MAX_VALUE);
        return Sense.NONE;
    }

    private static Sense reportNone(ByteBuffer command, ScsiData data) {
        data.answer(new byte[8], command.getInt(6) & Integer.MAX_VALUE);
        return Sense.NONE;
    }

    // ---- state

    @Override
    public String name() {
        return "scsi." + number;
    }

    @Override
    public void reset() {
        synchronized (lock) {
            initialized = false;
            unitsChanged = false;
            for (Unit unit : units.values()) {
                unit.disk.restoreAttention(0);
            }
        }
    }

    @Override
    public int stateVersion() {
        return 1;
    }

    @Override
    public void save(StateOutput state) {
        synchronized (lock) {
            state.putBoolean(initialized).putBoolean(unitsChanged);
            state.putInt(units.size());
            units.forEach((number, unit) ->
                    state.putInt(number).putLong(unit.disk.disk().size()).putInt(unit.disk.attentionCode()));
            state.putInt(queues.size());
            queues.forEach((subchannel, queue) -> {
                state.putInt(subchannel).putInt(queue.waiting.size());
                for (Answer answer : queue.waiting) {
                    state.putLong(answer.transaction).putBytes(answer.bytes);
                }
            });
        }
    }

    /** The disks must be those of the saved machine; their numbers and sizes are compared. */
    @Override
    public void restore(StateInput state) {
        synchronized (lock) {
            initialized = state.getBoolean();
            unitsChanged = state.getBoolean();
            int count = state.getInt();
            state.check(count == units.size(), "there were " + count + " disks, and now there are " + units.size());
            for (int i = 0; i < count; i++) {
                int unit = state.getInt();
                long size = state.getLong();
                Unit there = units.get(unit);
                state.check(
                        there != null && there.disk.disk().size() == size,
                        "disk " + unit + " had " + size + " bytes and is another one now");
                int attention = state.getInt();
                if (there != null) {
                    there.disk.restoreAttention(attention);
                }
            }
            int channels = state.getInt();
            state.check(channels == queues.size(), channels + " channels have requests");
            for (int i = 0; i < channels; i++) {
                restoreQueue(state);
            }
        }
    }

    private void restoreQueue(StateInput state) {
        Queue queue = queues.get(state.getInt());
        int answers = state.getInt();
        state.check(
                queue != null && answers >= 0 && answers <= MAX_UNDER_WAY + 1, answers + " answers wait in a channel");
        for (int i = 0; i < answers; i++) {
            long transaction = state.getLong();
            byte[] bytes = state.getBytes();
            state.check(
                    bytes.length == StorageRequest.LENGTH || bytes.length == StorageRequest.OLD_LENGTH,
                    "an answer of " + bytes.length + " bytes");
            if (queue != null) {
                queue.waiting.add(new Answer(transaction, bytes));
            }
        }
    }

    @Override
    public void inspect(BiConsumer<String, Object> sink) {
        synchronized (lock) {
            units.forEach((unit, there) -> {
                sink.accept("disk." + unit, there.disk.disk().info().image());
                sink.accept("disk." + unit + ".under-way", there.users);
            });
        }
    }
}
