package org.torte.machine.vmbus;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.jspecify.annotations.Nullable;
import org.torte.base.GuestMemory;
import org.torte.base.StateInput;
import org.torte.base.StateOutput;

/**
 * A packet from the guest, copied out of the ring. It is valid until the next one is received.
 *
 * <pre>
 *   0 type            2 bytes
 *   2 start of data   2, in units of 8 bytes
 *   4 length          2, in units of 8 bytes
 *   6 flags           2: bit 0 set when the sender wants a completion
 *   8 transaction     8
 *  16 what the type adds: for GPA-direct packets {reserved 4, count 4} and ranges
 *     data
 * </pre>
 */
public final class Packet {
    /** Data in the packet itself. */
    public static final int IN_BAND = 6;

    /** Data in pages of a buffer that the guest has given before. */
    public static final int TRANSFER_PAGES = 7;

    /** Data in the packet, and memory of the guest that goes with it. */
    public static final int GPA_DIRECT = 9;

    /** The answer to a packet whose sender wanted one. */
    public static final int COMPLETION = 0xb;

    static final int HEADER = 16;
    static final int FLAG_COMPLETION = 1;
    /** What 16 bits can say. */
    private static final int MAX_LENGTH = 0xffff << 3;

    private int type;
    private int flags;
    private long transaction;
    private int length;
    private byte[] bytes;
    private ByteBuffer view;
    private int dataStart;

    Packet() {
        this(4096);
    }

    private Packet(int room) {
        bytes = new byte[room];
        view = buffer(bytes);
    }

    private static ByteBuffer buffer(byte[] bytes) {
        return ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    }

    /** Room for a packet of this length, header included. */
    byte[] room(int size) {
        if (bytes.length < size) {
            bytes = new byte[Math.max(size, 2 * bytes.length)];
            view = buffer(bytes);
        }
        return bytes;
    }

    /** Takes over a packet of {@code size} bytes whose header has been checked. */
    void set(int newType, int newFlags, long newTransaction, int start, int size) {
        type = newType;
        flags = newFlags;
        transaction = newTransaction;
        dataStart = start;
        length = size;
    }

    /** Its type, such as {@link #IN_BAND}. */
    public int type() {
        return type;
    }

    /** By what the sender recognises the answer. */
    public long transaction() {
        return transaction;
    }

    /** Whether the sender wants a completion. */
    public boolean wantsCompletion() {
        return (flags & FLAG_COMPLETION) != 0;
    }

    /** The data, filled up to a multiple of 8 bytes; little-endian, from position 0 to its limit. */
    public ByteBuffer data() {
        return view.slice(dataStart, length - dataStart).order(ByteOrder.LITTLE_ENDIAN);
    }

    /** What the type adds between the header and the data. */
    public ByteBuffer descriptor() {
        return view.slice(HEADER, dataStart - HEADER).order(ByteOrder.LITTLE_ENDIAN);
    }

    /** How many bytes {@link #data} has. */
    public int dataLength() {
        return length - dataStart;
    }

    /** 4 bytes of the data, which has them. */
    public int dataInt(int at) {
        return view.getInt(dataStart + at);
    }

    /**
     * Appends all memory that goes with a GPA-direct packet to a stream.
     *
     * @param mostRanges how many ranges there may be
     * @param mostBytes how many bytes they may have together
     * @return false when the packet has no such memory, too much of it, or names anything but RAM
     */
    public boolean appendRanges(GuestMemory memory, GuestStream stream, int mostRanges, int mostBytes) {
        int at = HEADER + 2 * Integer.BYTES;
        if (type != GPA_DIRECT || at > dataStart) {
            return false;
        }
        int count = view.getInt(at - Integer.BYTES);
        if (count < 0 || count > mostRanges) {
            return false;
        }
        int left = mostBytes;
        for (int i = 0; i < count; i++) {
            if (at + 2 * Integer.BYTES > dataStart) {
                return false;
            }
            int bytes = view.getInt(at);
            int offset = view.getInt(at + Integer.BYTES);
            at += 2 * Integer.BYTES;
            if (bytes <= 0 || bytes > left || offset < 0 || offset >= GuestMemory.PAGE_SIZE) {
                return false;
            }
            left -= bytes;
            for (; bytes > 0; at += Long.BYTES) {
                if (at + Long.BYTES > dataStart) {
                    return false;
                }
                long number = view.getLong(at);
                long page = number * GuestMemory.PAGE_SIZE;
                if (page / GuestMemory.PAGE_SIZE != number || !memory.contains(page, GuestMemory.PAGE_SIZE)) {
                    return false;
                }
                int part = Math.min(bytes, GuestMemory.PAGE_SIZE - offset);
                stream.add(page + offset, part);
                bytes -= part;
                offset = 0;
            }
        }
        return true;
    }

    /** A copy that stays valid. */
    public Packet copy() {
        Packet copy = new Packet(length);
        System.arraycopy(bytes, HEADER, copy.bytes, HEADER, length - HEADER);
        copy.set(type, flags, transaction, dataStart, length);
        return copy;
    }

    /** Writes a packet for saved state. */
    public void save(StateOutput state) {
        state.putInt(type)
                .putInt(flags)
                .putLong(transaction)
                .putInt(dataStart)
                .putBytes(java.util.Arrays.copyOfRange(bytes, HEADER, length));
    }

    /** Reads what {@link #save} wrote. */
    public static Packet restore(StateInput state) {
        int type = state.getInt();
        int flags = state.getInt();
        long transaction = state.getLong();
        int start = state.getInt();
        byte[] rest = state.getBytes();
        int size = HEADER + rest.length;
        state.check(
                rest.length <= MAX_LENGTH && start >= HEADER && start <= size && start % 8 == 0 && size % 8 == 0,
                "a packet of " + size + " bytes with data at " + start);
        Packet packet = new Packet(size);
        System.arraycopy(rest, 0, packet.bytes, HEADER, rest.length);
        packet.set(type, flags, transaction, start, size);
        return packet;
    }

    /** The one range of memory that goes with a GPA-direct packet; null when there is none, several, or a wrong one. */
    public @Nullable GuestRange range(GuestMemory memory) {
        ByteBuffer descriptor = descriptor();
        if (type != GPA_DIRECT || descriptor.remaining() < 8) {
            return null;
        }
        descriptor.getInt();
        return descriptor.getInt() == 1 ? GuestRange.parse(descriptor, memory) : null;
    }

    /** All ranges of memory that go with a GPA-direct packet, at most {@code most}; null when one is wrong. */
    public GuestRange @Nullable [] ranges(GuestMemory memory, int most) {
        ByteBuffer descriptor = descriptor();
        if (type != GPA_DIRECT || descriptor.remaining() < 8) {
            return new GuestRange[0];
        }
        descriptor.getInt();
        int count = descriptor.getInt();
        if (count < 0 || count > most) {
            return null;
        }
        GuestRange[] ranges = new GuestRange[count];
        for (int i = 0; i < count; i++) {
            GuestRange range = GuestRange.parse(descriptor, memory);
            if (range == null) {
                return null;
            }
            ranges[i] = range;
        }
        return ranges;
    }
}
