package org.torte.machine.vmbus;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicReferenceArray;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.BiConsumer;
import org.jspecify.annotations.Nullable;
import org.torte.base.StateInput;
import org.torte.base.StateOutput;
import org.torte.hypervisor.Partition.Doorbell;
import org.torte.machine.chipset.Device;
import org.torte.machine.hyperv.Connections;
import org.torte.machine.hyperv.HypercallStatus;
import org.torte.machine.hyperv.SynicPort;

/**
 * The host's end of the bus. Guests' messages are handled at once, on the thread of the processor that sent them; devices
 * work on threads of the {@link BusHost}. Safe for several threads.
 *
 * <p>Locks are taken in this order: the bus, a channel, the interrupt controllers. Devices are called with the bus locked
 * where {@link VmbusDevice} says so, and serve their channels with nothing locked.
 */
public final class Vmbus implements Device, Connections {
    /** The most channels at a time; their numbers are those of event flags, from 1. */
    static final int MAX_CHANNELS = SynicPort.EVENT_FLAGS - 1;

    private static final Set<Integer> VERSIONS = Set.of(
            version(2, 4),
            version(3, 0),
            version(4, 0),
            version(4, 1),
            version(5, 0),
            version(5, 1),
            version(5, 2),
            version(5, 3));

    private static final int VERSION_5 = version(5, 0), VERSION_WITH_MODIFY_RESPONSE = version(5, 3);
    private static final int FIRST_CONNECTION = 1, CONNECTION = 4;
    private static final int MESSAGE_TYPE = 1;
    private static final int SINT = 2;
    private static final int SINT_SHIFT = 12;
    private static final int SUCCESS = 0, FAILURE = 0xc000_0001;

    private static int version(int major, int minor) {
        return major << 16 | minor;
    }

    /** A channel that is offered, or whose offer has been taken back and not yet been let go of by the guest. */
    private static final class Offered {
        final int id;
        final VmbusDevice device;
        final int subchannel;
        /** The guest has been told. */
        boolean announced;

        boolean rescinded;

        @Nullable
        Channel open;

        /** How the guest's events reach the open channel without stopping a processor, where that can be. */
        Optional<Doorbell> doorbell = Optional.empty();

        Offered(int id, VmbusDevice device, int subchannel) {
            this.id = id;
            this.device = device;
            this.subchannel = subchannel;
        }
    }

    private final BusHost host;
    private final SynicPort synic;

    private final ReentrantLock lock = new ReentrantLock();
    private final List<VmbusDevice> devices = new ArrayList<>();
    private final Map<Integer, Offered> offers = new TreeMap<>();
    private boolean running;

    /** The protocol version, 0 while there is no contact. */
    private int version;

    private int messageProcessor;
    private volatile int messageSint = SINT;
    private boolean offersRequested;

    /** Has a lock of its own, because devices look into it while the bus waits for them. */
    private final GpadlTable gpadls;

    private final AtomicReferenceArray<Channel> open = new AtomicReferenceArray<>(MAX_CHANNELS + 1);

    private final Channel.Bus channelBus = new Channel.Bus() {
        @Override
        public void interrupt(int channel, int processor) {
            synic.signal(processor, messageSint, channel);
        }

        @Override
        public @Nullable GuestRange gpadl(int channel, int handle) {
            synchronized (gpadls) {
                return gpadls.find(channel, handle);
            }
        }
    };

    /** A bus without devices. */
    public Vmbus(BusHost host, SynicPort synic) {
        this.host = host;
        this.synic = synic;
        gpadls = new GpadlTable(host.memory());
    }

    /** What devices run on. */
    public BusHost host() {
        return host;
    }

    /** Its devices, in the order in which they were attached. */
    public List<VmbusDevice> devices() {
        lock.lock();
        try {
            return List.copyOf(devices);
        } finally {
            lock.unlock();
        }
    }

    /**
     * Adds a device, and offers it to a guest that is already there.
     *
     * @throws IllegalArgumentException when there is a device of this name, or no channel left
     */
    public void attach(VmbusDevice device) {
        lock.lock();
        try {
            if (devices.stream().anyMatch(other -> other.name().equals(device.name()))) {
                throw new IllegalArgumentException("there is a device " + device.name() + " already");
            }
            Offered offered = addOffer(device, 0);
            devices.add(device);
            if (running) {
                device.start();
            }
            announce(offered);
        } finally {
            lock.unlock();
        }
    }

    /** Takes a device away, also from under a guest that uses it. Does nothing when it is not there. */
    public void detach(VmbusDevice device) {
        lock.lock();
        try {
            if (!devices.remove(device)) {
                return;
            }
            for (Offered offered : List.copyOf(offers.values())) {
                if (offered.device.equals(device)) {
                    rescind(offered);
                }
            }
            if (running) {
                device.stop();
            }
        } finally {
            lock.unlock();
        }
    }

    /**
     * Offers further channels of a device whose first one is open. Returns at once; the guest hears of them soon after.
     *
     * @param count how many there are to be besides the first one; those that are there already count
     */
    public void offerSubchannels(VmbusDevice device, int count) {
        host.executor().execute(() -> {
            lock.lock();
            try {
                for (int i = 1; i <= count && devices.contains(device); i++) {
                    int index = i;
                    boolean there = offers.values().stream()
                            .anyMatch(o -> o.device.equals(device) && o.subchannel == index && !o.rescinded);
                    if (!there && offers.size() < MAX_CHANNELS) {
                        announce(addOffer(device, index));
                    }
                }
            } finally {
                lock.unlock();
            }
        });
    }

    private Offered addOffer(VmbusDevice device, int subchannel) {
        for (int id = 1; id <= MAX_CHANNELS; id++) {
            if (!offers.containsKey(id)) {
                Offered offered = new Offered(id, device, subchannel);
                offers.put(id, offered);
                return offered;
            }
        }
        throw new IllegalArgumentException("the bus has " + MAX_CHANNELS + " channels already");
    }

    private void announce(Offered offered) {
        if (offersRequested && !offered.announced && !offered.rescinded) {
            offered.announced = true;
            post(BusMessage.offer(
                    offered.device.offer(), offered.subchannel, offered.id, messageSint << SINT_SHIFT | offered.id));
        }
    }

    private void rescind(Offered offered) {
        closeChannel(offered);
        // Without contact there is nobody to tell: the guest that comes next must not hear of it.
        if (offered.announced && version != 0) {
            offered.rescinded = true;
            post(BusMessage.of(BusMessage.RESCIND, offered.id));
        } else {
            offers.remove(offered.id);
        }
    }

    private void post(byte[] message) {
        // There was room for the answer before the request was looked at, and offers are fewer than the line is long.
        boolean _ = synic.post(messageProcessor, messageSint, MESSAGE_TYPE, message);
    }

    // ---- what the guest sends

    @Override
    public HypercallStatus signal(int connection, int flag) {
        int id = connection & (1 << SINT_SHIFT) - 1;
        if (id > MAX_CHANNELS || connection >>> SINT_SHIFT != messageSint || flag != 0) {
            return HypercallStatus.INVALID_CONNECTION_ID;
        }
        Channel channel = open.get(id);
        if (channel != null) {
            channel.schedule();
        }
        // A channel that was closed a moment ago is no mistake of the guest.
        return HypercallStatus.SUCCESS;
    }

    @Override
    public HypercallStatus post(int connection, int type, byte[] payload) {
        if (connection != FIRST_CONNECTION && connection != CONNECTION) {
            return HypercallStatus.INVALID_CONNECTION_ID;
        }
        if (type != MESSAGE_TYPE || payload.length < BusMessage.HEADER) {
            return HypercallStatus.INVALID_PARAMETER;
        }
        ByteBuffer body = ByteBuffer.wrap(payload).order(ByteOrder.LITTLE_ENDIAN);
        int message = body.getInt();
        body.getInt();
        lock.lock();
        try {
            if (synic.room(messageProcessor, messageSint) < offers.size() + 2) {
                return HypercallStatus.INSUFFICIENT_BUFFERS;
            }
            handle(message, body, connection);
            return HypercallStatus.SUCCESS;
        } finally {
            lock.unlock();
        }
    }

    /** Messages that are too short, or that belong to nothing, have no effect. */
    private void handle(int message, ByteBuffer body, int connection) {
        if (message == BusMessage.INITIATE_CONTACT) {
            if (body.remaining() >= 32) {
                initiateContact(body, connection);
            }
            return;
        }
        if (version == 0) {
            return;
        }
        switch (message) {
            case BusMessage.REQUEST_OFFERS -> {
                offersRequested = true;
                offers.values().forEach(this::announce);
                post(BusMessage.of(BusMessage.ALL_OFFERS));
            }
            case BusMessage.OPEN -> openChannel(body);
            case BusMessage.CLOSE -> {
                Offered offered = find(body);
                if (offered != null) {
                    closeChannel(offered);
                }
            }
            case BusMessage.GPADL_HEADER -> gpadlHeader(body);
            case BusMessage.GPADL_BODY -> gpadlBody(body);
            case BusMessage.GPADL_TEARDOWN -> gpadlTeardown(body);
            case BusMessage.RELEASED -> {
                Offered offered = find(body);
                if (offered != null && offered.rescinded) {
                    release(offered);
                }
            }
            case BusMessage.UNLOAD -> {
                disconnect();
                post(BusMessage.of(BusMessage.UNLOAD_RESPONSE));
            }
            case BusMessage.MODIFY -> modifyChannel(body);
            default -> {}
        }
    }

    private @Nullable Offered find(ByteBuffer body) {
        return body.remaining() < Integer.BYTES ? null : offers.get(body.getInt());
    }

    private void initiateContact(ByteBuffer body, int connection) {
        int wanted = body.getInt();
        int processor = body.getInt();
        int sint = body.get() & 0xff;
        synic.discard(messageProcessor, messageSint);
        disconnect();
        boolean named = wanted >= VERSION_5;
        boolean possible = VERSIONS.contains(wanted) && named == (connection == CONNECTION);
        // Without a place for the answer there is none.
        if (processor < 0 || processor >= synic.processors() || named && (sint == 0 || sint > 15)) {
            return;
        }
        messageProcessor = processor;
        messageSint = named ? sint : SINT;
        version = possible ? wanted : 0;
        post(BusMessage.versionResponse(possible, named ? CONNECTION : FIRST_CONNECTION));
    }

    /** Ends all use of the bus by the guest: it unloads, starts anew, or is reset. */
    private void disconnect() {
        version = 0;
        offersRequested = false;
        for (Offered offered : List.copyOf(offers.values())) {
            closeChannel(offered);
            offered.announced = false;
            if (offered.rescinded || offered.subchannel != 0) {
                offers.remove(offered.id);
            }
        }
        synchronized (gpadls) {
            gpadls.clear();
        }
    }

    private void release(Offered offered) {
        offers.remove(offered.id);
        synchronized (gpadls) {
            gpadls.removeOf(offered.id);
        }
    }

    private void openChannel(ByteBuffer body) {
        if (body.remaining() < 5 * Integer.BYTES + BusMessage.USER_DATA) {
            return;
        }
        int id = body.getInt();
        int openId = body.getInt();
        int ring = body.getInt();
        int processor = body.getInt();
        int downstream = body.getInt();
        byte[] userData = new byte[BusMessage.USER_DATA];
        body.get(userData);
        Offered offered = offers.get(id);
        GuestRange memory = channelBus.gpadl(id, ring);
        boolean possible = offered != null
                && offered.announced
                && !offered.rescinded
                && offered.open == null
                && memory != null
                && processor >= 0
                && processor < synic.processors()
                && Channel.divisible(memory, downstream);
        if (possible && offered != null && memory != null) {
            begin(offered, new Channel.Opening(openId, ring, processor, downstream, userData), memory);
        }
        post(BusMessage.of(BusMessage.OPEN_RESULT, id, openId, possible ? SUCCESS : FAILURE));
        if (possible && offered != null && offered.open != null && running) {
            offered.open.resume();
        }
    }

    private Channel begin(Offered offered, Channel.Opening opening, GuestRange memory) {
        Channel channel =
                new Channel(host, channelBus, offered.device, offered.id, offered.subchannel, opening, memory);
        offered.open = channel;
        open.set(offered.id, channel);
        offered.device.open(channel);
        offered.doorbell = synic.doorbell(messageSint << SINT_SHIFT | offered.id, channel::schedule);
        return channel;
    }

    private void closeChannel(Offered offered) {
        Channel channel = offered.open;
        if (channel != null) {
            offered.open = null;
            open.set(offered.id, null);
            offered.doorbell.ifPresent(Doorbell::close);
            offered.doorbell = Optional.empty();
            channel.close();
            if (offered.subchannel == 0) {
                withdrawSubchannels(offered.device);
            }
        }
    }

    /** Sub-channels go with the channel that asked for them, and are offered again when it asks again. */
    private void withdrawSubchannels(VmbusDevice device) {
        for (Offered other : List.copyOf(offers.values())) {
            if (other.device.equals(device) && other.subchannel != 0 && !other.rescinded) {
                rescind(other);
            }
        }
    }

    private void modifyChannel(ByteBuffer body) {
        Offered offered = find(body);
        if (body.remaining() < Integer.BYTES) {
            return;
        }
        int processor = body.getInt();
        boolean possible = offered != null && offered.open != null && processor >= 0 && processor < synic.processors();
        if (possible && offered != null && offered.open != null) {
            offered.open.setTargetProcessor(processor);
        }
        if (version >= VERSION_WITH_MODIFY_RESPONSE && offered != null) {
            post(BusMessage.of(BusMessage.MODIFY_RESPONSE, offered.id, possible ? SUCCESS : FAILURE));
        }
    }

    private void gpadlHeader(ByteBuffer body) {
        if (body.remaining() < 12) {
            return;
        }
        int id = body.getInt();
        int handle = body.getInt();
        int length = body.getShort() & 0xffff;
        int ranges = body.getShort() & 0xffff;
        Offered offered = offers.get(id);
        GpadlTable.Outcome outcome = GpadlTable.Outcome.REFUSED;
        if (offered != null && offered.announced) {
            synchronized (gpadls) {
                outcome = gpadls.header(id, handle, length, ranges, body);
            }
        }
        answerGpadl(id, handle, outcome);
    }

    private void gpadlBody(ByteBuffer body) {
        if (body.remaining() < 8) {
            return;
        }
        body.getInt();
        int handle = body.getInt();
        GpadlTable.Outcome outcome;
        int id;
        synchronized (gpadls) {
            id = gpadls.channelOf(handle);
            outcome = gpadls.body(handle, body);
        }
        answerGpadl(id, handle, outcome);
    }

    private void answerGpadl(int id, int handle, GpadlTable.Outcome outcome) {
        switch (outcome) {
            case CREATED -> post(BusMessage.of(BusMessage.GPADL_CREATED, id, handle, SUCCESS));
            case REFUSED -> post(BusMessage.of(BusMessage.GPADL_CREATED, id, handle, FAILURE));
            case MORE, IGNORED -> {}
        }
    }

    /** When the guest hears that the buffer is torn down, nobody touches it any more. */
    private void gpadlTeardown(ByteBuffer body) {
        Offered offered = find(body);
        if (body.remaining() < Integer.BYTES) {
            return;
        }
        int handle = body.getInt();
        if (offered != null) {
            Channel channel = offered.open;
            if (channel != null && channel.opening().ringGpadl() == handle) {
                closeChannel(offered);
            }
            // All of them may use the buffers that came by one.
            List<Channel> users = offers.values().stream()
                    .filter(other -> other.device.equals(offered.device))
                    .map(other -> other.open)
                    .filter(Objects::nonNull)
                    .toList();
            users.forEach(Channel::pause);
            synchronized (gpadls) {
                if (gpadls.channelOf(handle) == offered.id) {
                    gpadls.remove(handle);
                }
            }
            users.forEach(Channel::resume);
        }
        post(BusMessage.of(BusMessage.GPADL_TORNDOWN, handle));
    }

    // ---- the machine's side

    @Override
    public String name() {
        return "vmbus";
    }

    @Override
    public void start() {
        lock.lock();
        try {
            running = true;
            devices.forEach(Device::start);
            forEachOpen(Channel::resume);
        } finally {
            lock.unlock();
        }
    }

    @Override
    public void stop() {
        lock.lock();
        try {
            if (running) {
                running = false;
                forEachOpen(Channel::pause);
                devices.forEach(Device::stop);
            }
        } finally {
            lock.unlock();
        }
    }

    private void forEachOpen(java.util.function.Consumer<Channel> action) {
        for (Offered offered : offers.values()) {
            if (offered.open != null) {
                action.accept(offered.open);
            }
        }
    }

    @Override
    public void reset() {
        lock.lock();
        try {
            disconnect();
            messageProcessor = 0;
            messageSint = SINT;
            devices.forEach(Device::reset);
        } finally {
            lock.unlock();
        }
    }

    @Override
    public int stateVersion() {
        return 1;
    }

    /** Writes the bus and its channels; devices have sections of their own. */
    @Override
    public void save(StateOutput state) {
        lock.lock();
        try {
            state.putInt(version).putInt(messageProcessor).putInt(messageSint).putBoolean(offersRequested);
            synchronized (gpadls) {
                gpadls.save(state);
            }
            state.putInt(offers.size());
            for (Offered offered : offers.values()) {
                state.putInt(offered.id)
                        .putString(devices.contains(offered.device) ? offered.device.name() : "")
                        .putInt(offered.subchannel)
                        .putBoolean(offered.announced)
                        .putBoolean(offered.rescinded)
                        .putBoolean(offered.open != null);
                if (offered.open != null) {
                    offered.open.save(state);
                }
            }
        } finally {
            lock.unlock();
        }
    }

    /** Reads what {@link #save} wrote, into a bus with the same devices. */
    @Override
    public void restore(StateInput state) {
        lock.lock();
        try {
            disconnect();
            offers.clear();
            version = state.getInt();
            messageProcessor = state.getInt();
            messageSint = state.getInt();
            offersRequested = state.getBoolean();
            state.check(version == 0 || VERSIONS.contains(version), "version " + version);
            state.check(
                    messageProcessor >= 0
                            && messageProcessor < synic.processors()
                            && messageSint > 0
                            && messageSint < 16,
                    "messages go to processor " + messageProcessor + ", interrupt " + messageSint);
            synchronized (gpadls) {
                gpadls.restore(state);
            }
            int count = state.getInt();
            state.check(count >= 0 && count <= MAX_CHANNELS, count + " channels");
            for (int i = 0; i < count; i++) {
                restoreOffer(state);
            }
            for (VmbusDevice device : devices) {
                state.check(
                        offers.values().stream().anyMatch(o -> o.device.equals(device) && o.subchannel == 0),
                        "there is no device " + device.name());
            }
        } finally {
            lock.unlock();
        }
    }

    private void restoreOffer(StateInput state) {
        int id = state.getInt();
        String name = state.getString();
        int subchannel = state.getInt();
        boolean announced = state.getBoolean();
        boolean rescinded = state.getBoolean();
        VmbusDevice device = name.isEmpty() && rescinded ? Removed.INSTANCE : device(name);
        state.check(device != null, "this machine has no device " + name);
        state.check(id > 0 && id <= MAX_CHANNELS && !offers.containsKey(id), "channel " + id);
        if (device == null) {
            return;
        }
        Offered offered = new Offered(id, device, subchannel);
        offered.announced = announced;
        offered.rescinded = rescinded;
        offers.put(id, offered);
        if (state.getBoolean()) {
            Channel.Opening opening = new Channel.Opening(
                    state.getInt(), state.getInt(), state.getInt(), state.getInt(), state.getBytes());
            GuestRange memory = channelBus.gpadl(id, opening.ringGpadl());
            state.check(
                    memory != null
                            && !rescinded
                            && opening.userData().length == BusMessage.USER_DATA
                            && opening.targetProcessor() >= 0
                            && opening.targetProcessor() < synic.processors()
                            && Channel.divisible(memory, opening.downstreamPage()),
                    "channel " + id + " is open without a ring");
            if (memory != null) {
                begin(offered, opening, memory).restoreRings(state);
            }
        }
    }

    private @Nullable VmbusDevice device(String name) {
        return devices.stream()
                .filter(device -> device.name().equals(name))
                .findFirst()
                .orElse(null);
    }

    @Override
    public void inspect(BiConsumer<String, Object> sink) {
        lock.lock();
        try {
            sink.accept("version", (version >>> 16) + "." + (version & 0xffff));
            for (Offered offered : offers.values()) {
                String prefix = "channel." + offered.id;
                sink.accept(prefix + ".device", offered.device.name());
                if (offered.open != null) {
                    offered.open.inspect(prefix, sink);
                }
            }
        } finally {
            lock.unlock();
        }
    }
}
