package org.torte.machine.network;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayDeque;
import org.jspecify.annotations.Nullable;
import org.torte.base.StateInput;
import org.torte.base.StateOutput;
import org.torte.base.net.FrameBatch;
import org.torte.base.net.FrameOffloads;
import org.torte.base.net.NetworkPort;
import org.torte.machine.vmbus.GuestStream;
import org.torte.machine.vmbus.Packet;

/**
 * The way of frames from the guest into the network. What the network does not take at once waits here: frames that have
 * been read in the batch, and packets behind them as they are, so that what else the guest says can still be heard. When
 * too many wait, the network has stood still for long, and they are dropped. Not for several threads.
 */
final class Transmitter {
    /** The most bytes of RNDIS messages in one packet. */
    static final int MAX_BYTES = 128 << 10;

    /** The most RNDIS messages in one packet; guests have been told fewer. */
    static final int MAX_FRAMES = 64;

    /** The most packets that wait. */
    static final int MAX_HELD = 1024;

    private static final int BATCH_FRAMES = 4 * MAX_FRAMES, BATCH_BYTES = 4 * MAX_BYTES;
    private static final int MAX_INFORMATION = 256;
    private static final int IPV4 = 1, IPV6 = 2, TCP_CHECKSUM = 4, UDP_CHECKSUM = 8, IP_CHECKSUM = 0x10;
    private static final int SEGMENT_MASK = 0xf_ffff, LARGE_SEND_2 = 1 << 30;

    /** A packet that waits, and the number of the channel that it came by. */
    record Held(int channel, Packet packet) {}

    private final FrameBatch batch = new FrameBatch(BATCH_FRAMES, BATCH_BYTES);
    private int sent;
    private final ArrayDeque<Held> held = new ArrayDeque<>();
    private final byte[] header = new byte[Rndis.PACKET_HEADER + MAX_INFORMATION];
    private final ByteBuffer view = ByteBuffer.wrap(header).order(ByteOrder.LITTLE_ENDIAN);
    /** What is known about the frame being read. */
    private int flags;

    private int segmentSize;
    private int vlan;

    private long frames;
    private long bytes;
    private long malformed;
    private long dropped;

    /** Frames that have been read. */
    long frames() {
        return frames;
    }

    /** Frames that made no sense. */
    long malformed() {
        return malformed;
    }

    /** Packets that were dropped because too many waited. */
    long dropped() {
        return dropped;
    }

    /** Forgets all that waits. */
    void clear() {
        batch.clear();
        sent = 0;
        held.clear();
    }

    /** Whether packets wait, behind which others must queue. */
    boolean holds() {
        return !held.isEmpty();
    }

    /** Keeps a packet; false when there are too many. */
    boolean hold(int channel, Packet packet) {
        if (held.size() >= MAX_HELD) {
            dropped++;
            return false;
        }
        held.add(new Held(channel, packet.copy()));
        return true;
    }

    /** The packet that has waited longest, when there is room for it now; it stays until {@link #dropHeld}. */
    @Nullable
    Held nextHeld() {
        return hasRoom() ? held.peek() : null;
    }

    /** Lets go of the packet that has waited longest. */
    void dropHeld() {
        held.remove();
    }

    /** Whether there is room for all that one more packet may hold. */
    boolean hasRoom() {
        return batch.size() + MAX_FRAMES <= BATCH_FRAMES && batch.hasRoom(2 * MAX_BYTES);
    }

    /** Gives the network what it takes. */
    void push(NetworkPort port) {
        if (sent < batch.size()) {
            sent += port.send(batch, sent);
        }
        if (sent >= batch.size()) {
            batch.clear();
            sent = 0;
        }
    }

    /** Drops what is in the batch: there is no network. */
    void discard() {
        batch.clear();
        sent = 0;
    }

    /** Reads the data messages of one packet into the batch, which has room; false when one of them makes no sense. */
    boolean read(GuestStream stream) {
        for (int i = 0; stream.remaining() > 0; i++) {
            if (i == MAX_FRAMES || !readMessage(stream)) {
                malformed++;
                return false;
            }
        }
        return true;
    }

    private boolean readMessage(GuestStream stream) {
        int available = stream.remaining();
        if (available < Rndis.PACKET_HEADER) {
            return false;
        }
        stream.read(header, 0, Rndis.PACKET_HEADER);
        int length = view.getInt(4);
        if (view.getInt(0) != Rndis.PACKET || length < Rndis.PACKET_HEADER || length > available) {
            return false;
        }
        int body = length - Rndis.HEADER;
        int dataOffset = view.getInt(Rndis.DATA_OFFSET_AT);
        int dataLength = view.getInt(Rndis.DATA_LENGTH_AT);
        int rest = Rndis.PACKET_HEADER - Rndis.HEADER;
        if (dataOffset < rest
                || dataOffset > body
                || dataLength < FrameBatch.ETHERNET_HEADER
                || dataLength > Math.min(body - dataOffset, FrameBatch.MAX_LENGTH)) {
            return false;
        }
        int between = dataOffset - rest;
        int known = Math.min(between, MAX_INFORMATION);
        stream.read(header, Rndis.PACKET_HEADER, known);
        stream.skip(between - known);
        if (!readInformation(Rndis.PACKET_HEADER + known)) {
            return false;
        }
        int offset = batch.append(dataLength);
        if (offset < 0) {
            return false;
        }
        stream.read(batch.bytes(), offset, dataLength);
        stream.skip(body - dataOffset - dataLength);
        batch.describe(batch.size() - 1, flags, segmentSize, vlan);
        frames++;
        bytes += dataLength;
        return true;
    }

    /** What goes with the frame lies between the header and the data; false when it does not. */
    private boolean readInformation(int end) {
        flags = 0;
        segmentSize = 0;
        vlan = FrameBatch.NO_VLAN;
        int length = view.getInt(Rndis.INFORMATION_LENGTH_AT);
        if (length == 0) {
            return true;
        }
        int from = view.getInt(Rndis.INFORMATION_OFFSET_AT);
        if (length < 0 || from < Rndis.PACKET_HEADER - Rndis.HEADER || from > end - Rndis.HEADER) {
            return false;
        }
        int at = Rndis.HEADER + from;
        if (length > end - at) {
            return false;
        }
        for (int stop = at + length; at < stop; ) {
            int size = stop - at < Rndis.INFORMATION_HEADER ? 0 : view.getInt(at);
            if (size < Rndis.INFORMATION_HEADER || size > stop - at) {
                return false;
            }
            int value = view.getInt(at + 8);
            if (value >= Rndis.INFORMATION_HEADER && value <= size - 4) {
                takeInformation(view.getInt(at + 4), view.getInt(at + value));
            }
            at += size;
        }
        return segmentSize == 0 || segmentSize >= FrameOffloads.MIN_SEGMENT;
    }

    private void takeInformation(int kind, int value) {
        switch (kind) {
            case Rndis.CHECKSUM_INFORMATION -> {
                if ((value & (IPV4 | IPV6)) != 0) {
                    flags |= (value & (TCP_CHECKSUM | UDP_CHECKSUM)) != 0 ? FrameBatch.TRANSPORT_CHECKSUM_NEEDED : 0;
                    flags |= (value & IP_CHECKSUM) != 0 ? FrameBatch.IP_CHECKSUM_NEEDED : 0;
                }
            }
            case Rndis.LARGE_SEND_INFORMATION -> {
                segmentSize = Math.min(value & SEGMENT_MASK, 0xffff);
                if (segmentSize == 0 && (value & LARGE_SEND_2) != 0) {
                    segmentSize = 1; // too small, and so found to make no sense
                }
                flags |= FrameBatch.TRANSPORT_CHECKSUM_NEEDED | FrameBatch.IP_CHECKSUM_NEEDED;
            }
            case Rndis.VLAN_INFORMATION -> {
                int priority = value & 7;
                int drop = value >>> 3 & 1;
                vlan = priority << 13 | drop << 12 | value >>> 4 & 0xfff;
            }
            default -> {}
        }
    }

    void save(StateOutput state) {
        FrameState.save(state, batch, sent);
        state.putInt(held.size());
        held.forEach(one -> {
            state.putInt(one.channel);
            one.packet.save(state);
        });
        state.putLong(frames).putLong(bytes).putLong(malformed).putLong(dropped);
    }

    void restore(StateInput state) {
        clear();
        FrameState.restore(state, batch);
        int count = state.getInt();
        state.check(count >= 0 && count <= MAX_HELD, count + " packets wait");
        for (int i = 0; i < count; i++) {
            held.add(new Held(state.version() == 1 ? 0 : state.getInt(), Packet.restore(state)));
        }
        frames = state.getLong();
        bytes = state.getLong();
        malformed = state.getLong();
        dropped = state.getLong();
    }
}
