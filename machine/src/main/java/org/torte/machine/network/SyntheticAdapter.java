package org.torte.machine.network;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.UUID;
import java.util.function.BiConsumer;
import org.jspecify.annotations.Nullable;
import org.torte.base.StateInput;
import org.torte.base.StateOutput;
import org.torte.base.net.FrameBatch;
import org.torte.base.net.FrameOffloads;
import org.torte.base.net.LinkState;
import org.torte.base.net.MacAddress;
import org.torte.base.net.NetworkAdapter;
import org.torte.base.net.NetworkPort;
import org.torte.machine.vmbus.BusHost;
import org.torte.machine.vmbus.Channel;
import org.torte.machine.vmbus.ChannelOffer;
import org.torte.machine.vmbus.GuestRange;
import org.torte.machine.vmbus.GuestStream;
import org.torte.machine.vmbus.Packet;
import org.torte.machine.vmbus.Vmbus;
import org.torte.machine.vmbus.VmbusDevice;

/**
 * A network adapter. It can be plugged into a network and unplugged at any time; the port belongs to the caller. Safe for
 * several threads.
 *
 * <p>Everything that concerns the guest happens in {@link #serve}, for one of its channels at a time ({@link #serving}).
 * Other threads bring frames and news of the link; they take {@link #lock} and leave both for {@code serve}.
 */
public final class SyntheticAdapter implements VmbusDevice, NetworkAdapter {
    /** How many packets one call of {@code serve} takes at most, so that the guest cannot keep it for ever. */
    private static final int MAX_PACKETS = 1024;

    /** After so many packets it looks at what comes from the network. */
    private static final int PACKETS_BETWEEN = 32;

    static final int SECTION = 6144;
    private static final UUID INTERFACE = UUID.fromString("f8615163-df3e-46c5-913f-f2d2f965ed0e");
    private static final int[] VERSIONS = {
        Nvsp.VERSION_6_1, Nvsp.VERSION_6, Nvsp.VERSION_5, Nvsp.VERSION_4, Nvsp.VERSION_2, Nvsp.VERSION_1
    };
    private static final int CHAIN = 34, MAX_RANGES = 64, MAX_CONTROL = 8192;
    private static final int PLACE_OVERHEAD = 256 + 36, PLACE_ALIGNMENT = 63, LARGE_PLACE = 4096;
    private static final int LARGE_BUFFER = 4 << 20;
    private static final int QUEUE_FRAMES = 512, QUEUE_BYTES = 512 << 10, MAX_PIECES = 256;
    private static final int NO_HANDLE = 0;
    private static final LinkState UNPLUGGED = new LinkState(false, LinkState.DEFAULT_SPEED, LinkState.DEFAULT_MTU);
    private static final byte[] RNDIS_TAKEN = Nvsp.rndisComplete(Nvsp.SUCCESS);
    private static final byte[] RNDIS_REFUSED = Nvsp.rndisComplete(Nvsp.INVALID_RNDIS);
    private static final byte[] NOTHING = {};

    private final Vmbus bus;
    private final BusHost host;
    private final int number;
    private final UUID instance;
    private final int channels;
    private volatile @Nullable NetworkPort port;

    /** Guards what is between guest and adapter; taken before {@link #lock}. */
    private final Object serving = new Object();

    private final ChannelQueues queues = new ChannelQueues();
    /** One is being served: on this very thread, if the bus has others served at once (in tests). */
    private boolean busy;

    private final Transmitter transmitter = new Transmitter();
    private final Receiver receiver = new Receiver();
    private final GuestStream stream;
    private int version;
    private int largestFrame;
    private int sendHandle;
    private @Nullable GuestRange sendMemory;
    /** The guest is to be told how to spread what it sends over so many channels; 0 when it has been. */
    private int untoldChannels;

    /** Frames on their way to the guest, and how many of them are there. */
    private FrameBatch delivering = new FrameBatch(QUEUE_FRAMES, QUEUE_BYTES);

    private int delivered;

    /** Guards what follows. */
    private final Object lock = new Object();

    private final RndisControl control;
    private final FrameOffloads offloads = new FrameOffloads();
    private @Nullable Channel channel;
    private boolean running;
    /** Frames that came since {@code serve} looked last. */
    private FrameBatch arrived = new FrameBatch(QUEUE_FRAMES, QUEUE_BYTES);
    /** The port was refused frames. */
    private boolean refused;
    /** What the guest knows of the link. */
    private boolean toldUp;
    /** The link has been down since the guest was told that it is up. */
    private boolean wentDown;
    /** The guest is to tell its neighbours where it is. */
    private boolean moved;

    private long discarded;

    /**
     * An adapter that is not plugged in.
     *
     * @param number counts the machine's adapters from 0
     * @param instance what identifies it to the guest
     * @param address its address, until the guest sets another one
     * @param processors how many the machine has; guests take more channels when there are more
     */
    public SyntheticAdapter(Vmbus bus, int number, UUID instance, MacAddress address, int processors) {
        this.bus = bus;
        host = bus.host();
        this.number = number;
        this.instance = instance;
        channels = Math.clamp(processors, 1, ChannelQueues.MAX);
        stream = new GuestStream(host.memory());
        control = new RndisControl(address, new Facts());
    }

    /** What guests ask for; asked with the lock. */
    private final class Facts implements RndisControl.Facts {
        @Override
        public LinkState link() {
            return currentLink();
        }

        @Override
        public LinkState linkAsked() {
            LinkState link = currentLink();
            toldUp = link.up();
            wentDown = false;
            return link;
        }

        @Override
        public long framesSent() {
            return transmitter.frames();
        }

        @Override
        public long framesReceived() {
            return receiver.frames();
        }

        @Override
        public long sentDropped() {
            return transmitter.malformed() + transmitter.dropped();
        }

        @Override
        public long receivedDropped() {
            return receiver.tooLong() + discarded;
        }

        @Override
        public int channels() {
            return channels;
        }
    }

    // ---- the network

    /**
     * Plugs it in.
     *
     * @throws IllegalStateException when it is plugged in, or the port is taken
     */
    public void connect(NetworkPort newPort) {
        synchronized (lock) {
            if (port != null) {
                throw new IllegalStateException("adapter " + number + " is plugged in already");
            }
            port = newPort;
        }
        newPort.plug(this);
    }

    /** Unplugs it; on return the port is free. Does nothing when it is not plugged in. */
    public void disconnect() {
        NetworkPort old = port;
        if (old != null) {
            old.unplug();
            port = null;
            linkChanged();
        }
    }

    private LinkState currentLink() {
        NetworkPort current = port;
        return current == null ? UNPLUGGED : current.link();
    }

    @Override
    public MacAddress address() {
        synchronized (lock) {
            return control.address();
        }
    }

    @Override
    public int receive(FrameBatch frames, int first) {
        int taken;
        Channel waiting;
        synchronized (lock) {
            taken = running ? take(frames, first) : 0;
            refused |= taken < frames.size() - first;
            waiting = arrived.size() == 0 ? null : channel;
        }
        if (waiting != null) {
            waiting.schedule();
        }
        return taken;
    }

    private int take(FrameBatch frames, int first) {
        int frame = first;
        for (; frame < frames.size(); frame++) {
            boolean wanted = channel != null
                    && frames.length(frame) >= FrameBatch.ETHERNET_HEADER
                    && control.wants(frames.destination(frame));
            if (wanted && !(frames.segmentSize(frame) == 0 ? takeFrame(frames, frame) : takeLarge(frames, frame))) {
                break;
            }
        }
        return frame - first;
    }

    /** False when there is no room. */
    private boolean takeFrame(FrameBatch frames, int frame) {
        if (!arrived.append(frames, frame)) {
            return false;
        }
        offloads.completeChecksums(arrived, arrived.size() - 1);
        return true;
    }

    /** False when there is no room; what is no large send after all is dropped. */
    private boolean takeLarge(FrameBatch frames, int frame) {
        int before = arrived.size();
        if (control.coalescing()) {
            if (!arrived.append(frames, frame)) {
                return false;
            }
            if (!offloads.completeWhole(arrived, before)) {
                arrived.removeLast();
                discarded++;
            }
            return true;
        }
        int pieces = offloads.pieces(frames, frame);
        if (pieces == 0 || pieces > MAX_PIECES) {
            discarded++;
        } else if (offloads.cut(frames, frame, 0, arrived) < pieces) {
            while (arrived.size() > before) {
                arrived.removeLast();
            }
            return false;
        }
        return true;
    }

    @Override
    public void linkChanged() {
        Channel waiting;
        synchronized (lock) {
            wentDown |= !currentLink().up();
            waiting = channel;
        }
        if (waiting != null) {
            waiting.schedule();
        }
    }

    @Override
    public void roomAvailable() {
        Channel waiting;
        synchronized (lock) {
            waiting = channel;
        }
        if (waiting != null) {
            waiting.schedule();
        }
    }

    // ---- the bus

    @Override
    public ChannelOffer offer() {
        return new ChannelOffer(INTERFACE, instance, false);
    }

    @Override
    public void open(Channel opened) {
        synchronized (serving) {
            if (opened.subchannel() == 0) {
                forgetGuest();
                synchronized (lock) {
                    channel = opened;
                }
            }
            queues.add(opened);
        }
    }

    @Override
    public void close(Channel closed) {
        synchronized (serving) {
            queues.remove(closed);
            if (closed.subchannel() == 0) {
                synchronized (lock) {
                    channel = null;
                }
                forgetGuest();
            }
        }
    }

    private void forgetGuest() {
        version = 0;
        largestFrame = 0;
        sendHandle = NO_HANDLE;
        sendMemory = null;
        untoldChannels = 0;
        transmitter.clear();
        receiver.clear();
        delivering.clear();
        delivered = 0;
        synchronized (lock) {
            control.reset();
            arrived.clear();
            toldUp = false;
            wentDown = false;
            moved = false;
        }
    }

    @Override
    public boolean serve(Channel current) {
        synchronized (serving) {
            ChannelQueues.Queue queue = queues.get(current.subchannel());
            ChannelQueues.Queue first = queues.get(0);
            if (queue == null || first == null) {
                return false; // further channels mean nothing without the first one, and go with it
            }
            if (busy) {
                queue.wantsTurn = true;
                return false;
            }
            busy = true;
            try {
                return serve(queue, first);
            } finally {
                busy = false;
                queues.finish(queue);
            }
        }
    }

    private boolean serve(ChannelQueues.Queue queue, ChannelQueues.Queue first) {
        sendMemory = sendHandle == NO_HANDLE ? null : first.channel.gpadl(sendHandle);
        if (!queue.sendUnsent()) {
            return false;
        }
        tellLink();
        tellChannels(first);
        deliver(first);
        release();
        for (int i = 0; !queue.isFull(); i++) {
            if (i == MAX_PACKETS) {
                queue.channel.schedule();
                break;
            }
            if (i % PACKETS_BETWEEN == PACKETS_BETWEEN - 1) {
                deliver(first);
            }
            Packet packet = queue.channel.receive();
            if (packet == null) {
                push();
                tellChannels(first);
                deliver(first);
                return true;
            }
            handle(queue, packet);
        }
        push();
        return false;
    }

    private void tellChannels(ChannelQueues.Queue first) {
        if (untoldChannels != 0 && !first.isFull()) {
            byte[] table = Nvsp.sendTable(Nvsp.length(version), untoldChannels);
            if (first.sendInBand(table)) {
                untoldChannels = 0;
            }
        }
    }

    private void tellLink() {
        synchronized (lock) {
            if (!control.initialized()) {
                return;
            }
            boolean up = currentLink().up();
            if (toldUp && (wentDown || !up) && receiver.answer(Rndis.status(Rndis.MEDIA_DISCONNECT))) {
                toldUp = false;
                wentDown = false;
            }
            if (up && (!toldUp || moved) && receiver.answer(Rndis.status(Rndis.MEDIA_CONNECT))) {
                toldUp = true;
                wentDown = false;
                moved = false;
            }
        }
    }

    /** Gives the guest what has come for it, as far as it has room. */
    private void deliver(ChannelQueues.Queue first) {
        boolean more;
        do {
            boolean roomAgain = false;
            if (delivered == delivering.size()) {
                synchronized (lock) {
                    FrameBatch emptied = delivering;
                    delivering = arrived;
                    arrived = emptied;
                    arrived.clear();
                    delivered = 0;
                    roomAgain = refused;
                    refused = false;
                }
            }
            NetworkPort sender = port;
            if (roomAgain && sender != null) {
                sender.roomAvailable();
            }
            int before = delivered;
            delivered += receiver.deliver(queues, first, control.scaling(), delivering, delivered);
            more = delivered > before && delivered == delivering.size();
        } while (more);
    }

    /** Goes on with what the network did not take before. */
    private void release() {
        push();
        for (Transmitter.Held held = transmitter.nextHeld(); held != null; held = transmitter.nextHeld()) {
            ChannelQueues.Queue queue = queues.get(held.channel());
            if (queue != null && queue.isFull()) {
                return;
            }
            transmitter.dropHeld();
            transmit(queue, held.packet());
            if (!transmitter.hasRoom()) {
                push();
            }
        }
        push();
    }

    private void push() {
        NetworkPort current = port;
        if (current != null) {
            transmitter.push(current);
        } else {
            transmitter.discard();
        }
    }

    private void handle(ChannelQueues.Queue queue, Packet packet) {
        boolean first = queue.number() == 0;
        if (packet.type() == Packet.COMPLETION) {
            receiver.completed(packet.transaction());
        } else if (packet.dataLength() >= Nvsp.RNDIS_LENGTH && packet.dataInt(0) == Nvsp.RNDIS) {
            if (version == 0) {
                queue.complete(packet, RNDIS_REFUSED);
            } else if (packet.dataInt(Nvsp.RNDIS_CHANNEL_AT) != Nvsp.DATA) {
                queue.complete(packet, first && control(packet) ? RNDIS_TAKEN : RNDIS_REFUSED);
            } else {
                data(queue, packet);
            }
        } else if (first && packet.type() == Packet.IN_BAND) {
            queue.complete(packet, answer(queue.channel, packet, Nvsp.parse(packet.data())));
        } else {
            queue.complete(packet, NOTHING);
        }
    }

    private void data(ChannelQueues.Queue queue, Packet packet) {
        if (!transmitter.hasRoom()) {
            push();
        }
        if (transmitter.hasRoom() && !transmitter.holds()) {
            transmit(queue, packet);
        } else if (!transmitter.hold(queue.number(), packet)) {
            queue.complete(packet, RNDIS_TAKEN); // and dropped
        }
    }

    /** The channel that is told of the end is null when it has been closed. */
    private void transmit(ChannelQueues.@Nullable Queue queue, Packet packet) {
        boolean sound = gather(packet) && transmitter.read(stream);
        if (queue != null) {
            queue.complete(packet, sound ? RNDIS_TAKEN : RNDIS_REFUSED);
        }
    }

    /** Lays the parts of an RNDIS message behind each other: the send buffer's, and the memory that goes with the packet. */
    private boolean gather(Packet packet) {
        stream.clear();
        int section = packet.dataInt(Nvsp.RNDIS_SECTION_AT);
        if (section != Nvsp.NO_SECTION) {
            int size = packet.dataInt(Nvsp.RNDIS_SIZE_AT);
            GuestRange buffer = sendMemory;
            if (buffer == null || section < 0 || section >= buffer.length() / SECTION || size < 0 || size > SECTION) {
                return false;
            }
            stream.add(buffer, section * SECTION, size);
        }
        return packet.type() != Packet.GPA_DIRECT
                || packet.appendRanges(host.memory(), stream, MAX_RANGES, Transmitter.MAX_BYTES - stream.remaining());
    }

    private boolean control(Packet packet) {
        if (!gather(packet) || stream.remaining() > MAX_CONTROL) {
            return false;
        }
        byte[] message = new byte[stream.remaining()];
        stream.read(message, 0, message.length);
        Rndis request = Rndis.parse(ByteBuffer.wrap(message).order(ByteOrder.LITTLE_ENDIAN));
        byte[] answer;
        synchronized (lock) {
            answer = control.handle(request);
        }
        return answer == null ? !(request instanceof Rndis.Malformed) : receiver.answer(answer);
    }

    private byte[] answer(Channel current, Packet packet, Nvsp message) {
        int length =
                version == 0 ? Math.clamp(packet.dataLength(), Nvsp.OLD_LENGTH, Nvsp.LENGTH) : Nvsp.length(version);
        if (version == 0 && !(message instanceof Nvsp.Init)) {
            return NOTHING;
        }
        return switch (message) {
            case Nvsp.Init(int least, int most) -> {
                version = 0;
                for (int known : VERSIONS) {
                    if (version == 0 && known >= least && known <= most) {
                        version = known;
                    }
                }
                int status = version != 0 ? Nvsp.SUCCESS : least > VERSIONS[0] ? Nvsp.TOO_NEW : Nvsp.TOO_OLD;
                yield Nvsp.initComplete(length, version, CHAIN, status);
            }
            case Nvsp.NdisVersion(int _, int minor) -> {
                synchronized (lock) {
                    control.setNdisVersion(minor);
                }
                yield NOTHING;
            }
            case Nvsp.NdisConfiguration(int frame, long _) -> {
                largestFrame = Math.clamp(frame, 0, LinkState.MAX_MTU + FrameBatch.ETHERNET_HEADER);
                yield NOTHING;
            }
            case Nvsp.ReceiveBufferOffer(int handle, int id) -> offerReceiveBuffer(current, length, handle, id);
            case Nvsp.ReceiveBufferRevoked _ -> {
                receiver.setBuffer(null);
                yield NOTHING;
            }
            case Nvsp.SendBufferOffer(int handle, int _) -> {
                GuestRange range = handle == NO_HANDLE ? null : current.gpadl(handle);
                boolean usable = range != null && range.length() >= SECTION;
                sendHandle = usable ? handle : NO_HANDLE;
                sendMemory = usable ? range : null;
                yield Nvsp.sendBufferComplete(length, usable ? Nvsp.SUCCESS : Nvsp.FAILURE, SECTION);
            }
            case Nvsp.SendBufferRevoked _ -> {
                sendHandle = NO_HANDLE;
                sendMemory = null;
                yield NOTHING;
            }
            case Nvsp.SubchannelRequest(int operation, int wanted) -> offerSubchannels(length, operation, wanted);
            case Nvsp.Unknown _ -> NOTHING;
        };
    }

    private byte[] offerSubchannels(int length, int operation, int wanted) {
        int given = version < Nvsp.VERSION_5 || operation != Nvsp.ALLOCATE ? 0 : Math.clamp(wanted, 0, channels - 1);
        if (given == 0) {
            return Nvsp.subchannelsComplete(length, Nvsp.FAILURE, 0);
        }
        bus.offerSubchannels(this, given);
        untoldChannels = given + 1;
        return Nvsp.subchannelsComplete(length, Nvsp.SUCCESS, given);
    }

    private byte[] offerReceiveBuffer(Channel current, int length, int handle, int id) {
        GuestRange range = handle == NO_HANDLE ? null : current.gpadl(handle);
        int frame = Math.max(largestFrame, LinkState.DEFAULT_MTU + FrameBatch.ETHERNET_HEADER);
        int size = frame + PLACE_OVERHEAD + PLACE_ALIGNMENT & ~PLACE_ALIGNMENT;
        int count = 0;
        if (range != null && receiver.buffer() == null) {
            if (range.length() >= LARGE_BUFFER) {
                size = Math.max(size, LARGE_PLACE);
            }
            count = Math.min(range.length() / size, ReceiveBuffer.MAX_PLACES);
        }
        if (count == 0) {
            return Nvsp.receiveBufferComplete(length, Nvsp.FAILURE, 0, 0);
        }
        receiver.setBuffer(new ReceiveBuffer(handle, id, size, count));
        return Nvsp.receiveBufferComplete(length, Nvsp.SUCCESS, size, count);
    }

    // ---- the machine

    @Override
    public String name() {
        return "network." + number;
    }

    @Override
    public void start() {
        synchronized (lock) {
            running = true;
            refused = false;
        }
        NetworkPort current = port;
        if (current != null) {
            current.roomAvailable();
        }
    }

    @Override
    public void stop() {
        synchronized (lock) {
            running = false;
        }
    }

    @Override
    public void reset() {
        synchronized (serving) {
            forgetGuest();
        }
    }

    @Override
    public int stateVersion() {
        return 2;
    }

    @Override
    public void save(StateOutput state) {
        synchronized (lock) {
            state.putInt(version).putInt(largestFrame).putInt(sendHandle);
            queues.save(state);
            control.save(state);
            transmitter.save(state);
            receiver.save(state);
            FrameState.save(state, delivering, delivered);
            FrameState.save(state, arrived, 0);
            state.putBoolean(toldUp).putBoolean(wentDown).putLong(discarded).putInt(untoldChannels);
        }
    }

    /** The guest tells its neighbours where it is now, as its frames may have to go elsewhere. */
    @Override
    public void restore(StateInput state) {
        synchronized (lock) {
            version = state.getInt();
            largestFrame = state.getInt();
            state.check(largestFrame >= 0 && largestFrame <= FrameBatch.MAX_LENGTH, "frames of " + largestFrame);
            sendHandle = state.getInt();
            queues.restore(state);
            control.restore(state);
            transmitter.restore(state);
            receiver.restore(state);
            delivering.clear();
            delivered = 0;
            FrameState.restore(state, delivering);
            arrived.clear();
            FrameState.restore(state, arrived);
            toldUp = state.getBoolean();
            wentDown = state.getBoolean();
            discarded = state.getLong();
            untoldChannels = state.version() == 1 ? 0 : state.getInt();
            state.check(
                    untoldChannels >= 0 && untoldChannels <= ChannelQueues.MAX,
                    untoldChannels + " channels to tell of");
            moved = true;
        }
    }

    @Override
    public void inspect(BiConsumer<String, Object> sink) {
        synchronized (lock) {
            LinkState link = currentLink();
            sink.accept("address", control.address());
            sink.accept("link", link.up() ? "up" : "down");
            sink.accept("mtu", link.mtu());
            sink.accept("channels", queues.count());
            sink.accept("sent", transmitter.frames());
            sink.accept("received", receiver.frames());
            sink.accept("dropped", transmitter.malformed() + transmitter.dropped() + receiver.tooLong() + discarded);
        }
    }
}
