package org.torte.machine.vmbus;

import java.lang.invoke.VarHandle;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.jspecify.annotations.Nullable;
import org.torte.base.GuestMemory;

/**
 * One direction of a channel. Its memory begins with a control page:
 *
 * <pre>
 *   0 in: where the writer goes on          4 bytes, an offset in the data, multiple of 8
 *   4 out: where the reader goes on         4
 *   8 interrupt mask: set while the reader  4
 *     needs no signal
 *  12 pending send size: bytes for which a  4
 *     writer waits
 *  64 features: bit 0, the last one is used 4
 * </pre>
 *
 * The data follow in the other pages. A packet is followed by 8 bytes that say where it began. The data are never full, as
 * equal offsets mean that there is nothing. Not for several threads.
 */
final class Ring {
    private static final int IN = 0, OUT = 4, MASK = 8, PENDING = 12;
    private static final int TRAILER = 8;
    private static final int ALIGNMENT = 7;

    private final BusHost host;
    private final GuestMemory memory;
    private final GuestRange pages;
    private final long control;
    private final int size;

    private final byte[] header = new byte[Packet.HEADER];
    private final ByteBuffer headerView = ByteBuffer.wrap(header).order(ByteOrder.LITTLE_ENDIAN);

    /** This side's own index: {@code out} of the ring it reads, {@code in} of the ring it writes. */
    private int index;

    /** What the guest sees of it. */
    private int published;

    /** How many bytes a packet needed that found no room, as the guest knows it; 0 when none waits. */
    private int waitingFor;

    private boolean broken;

    /** A ring in whole pages, at least two of them, with this side's index as the control page has it. */
    Ring(BusHost host, GuestRange pages, boolean incoming) {
        this.host = host;
        this.pages = pages;
        memory = host.memory();
        control = pages.address(0);
        size = pages.length() - GuestMemory.PAGE_SIZE;
        int start = memory.getIntVolatile(control + (incoming ? OUT : IN));
        index = valid(start) ? start : 0;
        broken = !valid(start);
        published = index;
    }

    private boolean valid(int offset) {
        return offset >= 0 && offset < size && (offset & ALIGNMENT) == 0;
    }

    /** Whether the guest has put something into it that makes no sense. */
    boolean broken() {
        return broken;
    }

    int index() {
        return index;
    }

    /** The most bytes of data of a packet that this ring can hold, its type adding nothing. */
    int largestData() {
        return Math.min(size - TRAILER - Long.BYTES, 0xffff << 3) - Packet.HEADER;
    }

    void restore(int saved, boolean wasBroken) {
        broken = wasBroken || !valid(saved);
        index = valid(saved) ? saved : 0;
        published = index;
    }

    private int distance(int from, int to) {
        return to >= from ? to - from : to - from + size;
    }

    private int advance(int from, int by) {
        int to = from + by;
        return to >= size ? to - size : to;
    }

    private void putControl(int at, int value) {
        memory.putIntVolatile(control + at, value);
        host.memoryWritten(control + at, Integer.BYTES);
    }

    private void copyOut(int from, byte[] target, int length) {
        int first = Math.min(length, size - from);
        pages.read(memory, GuestMemory.PAGE_SIZE + from, target, 0, first);
        pages.read(memory, GuestMemory.PAGE_SIZE, target, first, length - first);
    }

    private void copyIn(int to, byte[] source, int at, int length) {
        int first = Math.min(length, size - to);
        pages.write(host, GuestMemory.PAGE_SIZE + to, source, at, first);
        pages.write(host, GuestMemory.PAGE_SIZE, source, at + first, length - first);
    }

    // ---- the reading side

    /** Tells the guest whether to signal what it writes. */
    void setMask(boolean masked) {
        putControl(MASK, masked ? 1 : 0);
        // What the guest wrote without a signal is seen by the look at the ring that follows.
        VarHandle.fullFence();
    }

    /** Whether the guest has written more. */
    boolean hasMore() {
        return !broken && memory.getIntVolatile(control + IN) != index;
    }

    /** Takes the next packet; null when there is none or the ring is broken. */
    @Nullable
    Packet receive(Packet packet) {
        if (broken) {
            return null;
        }
        int in = memory.getIntVolatile(control + IN);
        if (!valid(in)) {
            broken = true;
            return null;
        }
        int available = distance(index, in);
        if (available == 0) {
            return null;
        }
        if (available < Packet.HEADER + TRAILER) {
            broken = true;
            return null;
        }
        copyOut(index, header, Packet.HEADER);
        int start = (headerView.getShort(2) & 0xffff) << 3;
        int length = (headerView.getShort(4) & 0xffff) << 3;
        if (start < Packet.HEADER || start > length || length > available - TRAILER) {
            broken = true;
            return null;
        }
        copyOut(index, packet.room(length), length);
        packet.set(
                headerView.getShort(0) & 0xffff, headerView.getShort(6) & 0xffff, headerView.getLong(8), start, length);
        index = advance(index, length + TRAILER);
        return packet;
    }

    /** Gives the guest back the room of what has been received; true when the guest waits for that. */
    boolean publishReceived() {
        if (index == published) {
            return false;
        }
        int before = published;
        published = index;
        putControl(OUT, index);
        VarHandle.fullFence();
        int pending = memory.getIntVolatile(control + PENDING);
        int in = memory.getIntVolatile(control + IN);
        if (pending == 0 || !valid(in)) {
            return false;
        }
        int freeBefore = size - distance(before, in);
        int free = size - distance(index, in);
        return Integer.compareUnsigned(freeBefore, pending) <= 0 && Integer.compareUnsigned(free, pending) > 0;
    }

    // ---- the writing side

    /**
     * Puts a packet in, not yet visible.
     *
     * @param descriptor what the type adds to the header
     * @param descriptorLength how many bytes of it, a multiple of 8
     * @return false when there is no room; the guest then signals when there is
     */
    boolean send(
            int type,
            int flags,
            long transaction,
            byte[] descriptor,
            int descriptorLength,
            byte[] data,
            int dataLength) {
        int start = Packet.HEADER + descriptorLength;
        int length = start + dataLength + ALIGNMENT & ~ALIGNMENT;
        int needed = length + TRAILER;
        if (needed >= size || length >> 3 > 0xffff) {
            throw new IllegalArgumentException("a packet of " + length + " bytes in a ring of " + size);
        }
        if (broken) {
            return true; // the guest gets nothing any more, and nobody waits for it
        }
        if (!roomFor(needed)) {
            if (broken) {
                return true;
            }
            waitingFor = needed;
            putControl(PENDING, needed);
            VarHandle.fullFence();
            if (!roomFor(needed)) {
                return broken;
            }
            stopWaiting();
        }
        headerView.putShort(0, (short) type);
        headerView.putShort(2, (short) (start >> 3));
        headerView.putShort(4, (short) (length >> 3));
        headerView.putShort(6, (short) flags);
        headerView.putLong(8, transaction);
        int begin = index;
        copyIn(begin, header, 0, Packet.HEADER);
        copyIn(advance(begin, Packet.HEADER), descriptor, 0, descriptorLength);
        copyIn(advance(begin, start), data, 0, dataLength);
        int padding = length - start - dataLength;
        headerView.putLong(0, 0);
        copyIn(advance(begin, start + dataLength), header, 0, padding);
        headerView.putInt(4, begin);
        copyIn(advance(begin, length), header, 0, TRAILER);
        index = advance(begin, needed);
        return true;
    }

    private boolean roomFor(int needed) {
        int out = memory.getIntVolatile(control + OUT);
        if (!valid(out)) {
            broken = true;
            return false;
        }
        return size - distance(out, index) > needed;
    }

    /**
     * Whether there is room by now for the packet that waits. To be asked after publishing: until then the guest counts
     * what was sent as room, and so may not notice when it makes enough.
     */
    boolean roomForWaiting() {
        VarHandle.fullFence();
        return waitingFor != 0 && !broken && roomFor(waitingFor);
    }

    /** Forgets that somebody waits for room. */
    void stopWaiting() {
        waitingFor = 0;
        if (memory.getIntVolatile(control + PENDING) != 0) {
            putControl(PENDING, 0);
        }
    }

    /** Makes what was sent visible; true when the guest is to be signalled. */
    boolean publishSent() {
        if (index == published || broken) {
            return false;
        }
        int before = published;
        published = index;
        putControl(IN, index);
        VarHandle.fullFence();
        return memory.getIntVolatile(control + MASK) == 0 && memory.getIntVolatile(control + OUT) == before;
    }
}
