package org.torte.machine.network;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayDeque;
import org.jspecify.annotations.Nullable;
import org.torte.base.StateInput;
import org.torte.base.StateOutput;
import org.torte.base.net.FrameBatch;
import org.torte.machine.vmbus.BusHost;
import org.torte.machine.vmbus.GuestRange;

/**
 * The way of frames and RNDIS answers to the guest: into places of its receive buffer, and as packets that name these into
 * the ring. Not for several threads.
 */
final class Receiver {
    /** The most answers that wait; a guest that asks on without reading gets none. */
    static final int MAX_ANSWERS = 32;

    /** The most places of one packet. */
    private static final int MAX_PLACES = 64;

    private static final int NONE = -1;
    private static final int DESCRIPTOR_HEADER = 8, RANGE = 8;
    /** The longest header of a frame: with checksum, VLAN and piece information. */
    private static final int MAX_HEADER = Rndis.PACKET_HEADER + 3 * Rndis.INFORMATION;

    private static final int TCP_GOOD = 8, UDP_GOOD = 0x10, IP_GOOD = 0x20;
    private static final int PIECE_VERSION = 1, PIECE = 1, FIRST_PIECE = 2, LAST_PIECE = 4;
    private static final byte[] DATA_MESSAGE = Nvsp.rndis(Nvsp.DATA), CONTROL_MESSAGE = Nvsp.rndis(Nvsp.CONTROL);

    private @Nullable ReceiveBuffer buffer;
    private final ArrayDeque<byte[]> answers = new ArrayDeque<>();
    /** The first place of a packet that found no room in the ring. */
    private int pending = NONE;

    private boolean pendingIsControl;
    /** The number of the channel that it is for. */
    private int pendingChannel;

    private int pieceNumber;

    private final byte[] descriptor = new byte[DESCRIPTOR_HEADER + RANGE * MAX_PLACES];
    private final ByteBuffer descriptorView = ByteBuffer.wrap(descriptor).order(ByteOrder.LITTLE_ENDIAN);
    private final byte[] header = new byte[MAX_HEADER];
    private final ByteBuffer headerView = ByteBuffer.wrap(header).order(ByteOrder.LITTLE_ENDIAN);

    private long frames;
    private long tooLong;

    /** Frames that the guest was given. */
    long frames() {
        return frames;
    }

    /** Frames that did not fit the places of the guest's buffer. */
    long tooLong() {
        return tooLong;
    }

    /** As before the guest has given a buffer. */
    void clear() {
        setBuffer(null);
        answers.clear();
    }

    void setBuffer(@Nullable ReceiveBuffer given) {
        buffer = given;
        pending = NONE;
    }

    @Nullable
    ReceiveBuffer buffer() {
        return buffer;
    }

    /** Has a control message sent; false when too many wait. */
    boolean answer(byte[] message) {
        return answers.size() < MAX_ANSWERS && answers.add(message);
    }

    /** The guest has dealt with a packet. */
    void completed(long transaction) {
        if (buffer != null) {
            buffer.giveBack(transaction - 1);
        }
    }

    /** Where the guest's buffer is now; null when it has given none, or has taken it away. */
    private static @Nullable GuestRange memory(ChannelQueues.Queue first, ReceiveBuffer places) {
        GuestRange range = first.channel.gpadl(places.handle());
        return range != null && range.length() >= places.offset(places.places() - 1) + places.placeSize()
                ? range
                : null;
    }

    /**
     * Gives the guest answers, by the first channel, and frames from {@code first} on, by those that it has chosen for them.
     *
     * @return how many frames are done with
     */
    int deliver(
            ChannelQueues queues, ChannelQueues.Queue control, ReceiveScaling scaling, FrameBatch batch, int first) {
        ReceiveBuffer places = buffer;
        GuestRange memory = places == null ? null : memory(control, places);
        BusHost host = control.channel.host();
        if (places == null || memory == null) {
            // Frames for a guest that does not take them are dropped; answers wait for its next buffer.
            return batch.size() - first;
        }
        if (pending != NONE && !sendPending(queues, places)) {
            return 0;
        }
        while (!answers.isEmpty() && places.freePlaces() > 0) {
            byte[] answer = answers.element();
            if (answer.length <= places.placeSize()) {
                pending = places.take(NONE, answer.length);
                pendingIsControl = true;
                pendingChannel = 0;
                memory.write(host, places.offset(pending), answer, 0, answer.length);
            }
            answers.remove();
            if (pending != NONE && !sendPending(queues, places)) {
                return 0;
            }
        }
        int frame = first;
        while (frame < batch.size()) {
            int next = fillPlaces(host, queues, scaling, places, memory, batch, frame);
            if (next == frame) {
                break; // no place is free
            }
            frame = next;
            if (pending != NONE && !sendPending(queues, places)) {
                break;
            }
        }
        return frame - first;
    }

    /** The number of the channel for a frame, one that is open. */
    private static int channel(ChannelQueues queues, ReceiveScaling scaling, FrameBatch batch, int frame) {
        if (queues.count() == 1) {
            return 0;
        }
        int wanted = scaling.channel(batch, frame);
        return queues.get(wanted) == null ? 0 : wanted;
    }

    /** Puts frames for one channel into places of one packet; gives the first frame that is not there. */
    private int fillPlaces(
            BusHost host,
            ChannelQueues queues,
            ReceiveScaling scaling,
            ReceiveBuffer places,
            GuestRange memory,
            FrameBatch batch,
            int first) {
        int last = NONE;
        int left = Math.min(MAX_PLACES, places.freePlaces());
        int room = places.placeSize() - MAX_HEADER;
        int frame = first;
        for (; frame < batch.size(); frame++) {
            int length = batch.length(frame);
            int pieces = Math.max(1, (length + room - 1) / room);
            if (pieces > MAX_PLACES || pieces > 1 && batch.segmentSize(frame) == 0 || pieces > places.places()) {
                tooLong++;
                continue;
            }
            int target = pieces > left ? NONE : channel(queues, scaling, batch, frame);
            if (target == NONE || pending != NONE && target != pendingChannel) {
                break;
            }
            left -= pieces;
            if (pieces > 1) {
                pieceNumber = pieceNumber + 1 & 0xffff;
            }
            for (int piece = 0; piece < pieces; piece++) {
                int from = piece * room;
                int part = Math.min(room, length - from);
                int head = putHeader(batch, frame, part, piece, pieces);
                last = places.take(last, head + part);
                if (pending == NONE) {
                    pending = last;
                    pendingIsControl = false;
                    pendingChannel = target;
                }
                int at = places.offset(last);
                memory.write(host, at, header, 0, head);
                memory.write(host, at + head, batch.bytes(), (long) batch.offset(frame) + from, part);
            }
            frames++;
        }
        return frame;
    }

    /** Puts the RNDIS header of a piece of a frame together; gives its length. */
    private int putHeader(FrameBatch batch, int frame, int part, int piece, int pieces) {
        int at = Rndis.PACKET_HEADER;
        if (piece == 0) {
            int flags = batch.flags(frame);
            int good = ((flags & FrameBatch.TRANSPORT_CHECKSUM_GOOD) != 0 ? TCP_GOOD | UDP_GOOD : 0)
                    | ((flags & FrameBatch.IP_CHECKSUM_GOOD) != 0 ? IP_GOOD : 0);
            if (good != 0) {
                at = putInformation(at, Rndis.CHECKSUM_INFORMATION, good);
            }
            int vlan = batch.vlan(frame);
            if (vlan != FrameBatch.NO_VLAN) {
                int value = vlan >>> 13 | (vlan >>> 12 & 1) << 3 | (vlan & 0xfff) << 4;
                at = putInformation(at, Rndis.VLAN_INFORMATION, value);
            }
        }
        if (pieces > 1) {
            int place = PIECE | (piece == 0 ? FIRST_PIECE : 0) | (piece == pieces - 1 ? LAST_PIECE : 0);
            at = putInformation(at, Rndis.PIECE_INFORMATION, PIECE_VERSION | place << 8 | pieceNumber << 16);
        }
        int information = at - Rndis.PACKET_HEADER;
        headerView.putInt(0, Rndis.PACKET).putInt(4, at + part);
        headerView.putInt(Rndis.DATA_OFFSET_AT, at - Rndis.HEADER).putInt(Rndis.DATA_LENGTH_AT, part);
        int offset = information == 0 ? 0 : Rndis.PACKET_HEADER - Rndis.HEADER;
        headerView.putInt(Rndis.INFORMATION_OFFSET_AT, offset).putInt(Rndis.INFORMATION_LENGTH_AT, information);
        return at;
    }

    private int putInformation(int at, int kind, int value) {
        headerView.putInt(at, Rndis.INFORMATION).putInt(at + 4, kind);
        headerView.putInt(at + 8, Rndis.INFORMATION_HEADER).putInt(at + 12, value);
        return at + Rndis.INFORMATION;
    }

    /** False when there is no room; places for a channel that is closed now are free again. */
    private boolean sendPending(ChannelQueues queues, ReceiveBuffer places) {
        ChannelQueues.Queue queue = queues.get(pendingChannel);
        if (queue == null) {
            places.given(pending);
            boolean _ = places.giveBack(pending);
            pending = NONE;
            return true;
        }
        int count = 0;
        for (int place = pending; place >= 0; place = places.after(place)) {
            int at = DESCRIPTOR_HEADER + RANGE * count;
            descriptorView.putInt(at, places.used(place)).putInt(at + 4, places.offset(place));
            count++;
        }
        descriptorView.putInt(0, places.id()).putInt(4, count);
        boolean sent = queue.sendPlaces(
                pending + 1L,
                descriptor,
                DESCRIPTOR_HEADER + RANGE * count,
                pendingIsControl ? CONTROL_MESSAGE : DATA_MESSAGE);
        if (sent) {
            places.given(pending);
            pending = NONE;
        }
        return sent;
    }

    void save(StateOutput state) {
        state.putBoolean(buffer != null);
        if (buffer != null) {
            buffer.save(state);
        }
        state.putInt(pending)
                .putBoolean(pendingIsControl)
                .putInt(pendingChannel)
                .putInt(pieceNumber);
        state.putInt(answers.size());
        answers.forEach(state::putBytes);
        state.putLong(frames).putLong(tooLong);
    }

    void restore(StateInput state) {
        clear();
        if (state.getBoolean()) {
            buffer = ReceiveBuffer.restore(state);
        }
        pending = state.getInt();
        pendingIsControl = state.getBoolean();
        pendingChannel = state.version() == 1 ? 0 : state.getInt();
        pieceNumber = state.getInt() & 0xffff;
        state.check(pending == NONE || buffer != null && buffer.isGroup(pending, MAX_PLACES), "place " + pending);
        int count = state.getInt();
        state.check(count >= 0 && count <= MAX_ANSWERS, count + " answers wait");
        for (int i = 0; i < count; i++) {
            answers.add(state.getBytes());
        }
        frames = state.getLong();
        tooLong = state.getLong();
    }
}
