package org.torte.base.net;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * Ethernet frames, without preamble and check sequence, that travel together, and what is to be known about each. Made
 * once and used again and again: whoever fills it owns it, and lends it to those whom it calls. Not for several threads.
 *
 * <p>What is known about a frame:
 *
 * <ul>
 *   <li>its {@link #flags}: which checksums are still to be computed, and which need not be checked any more;
 *   <li>its {@link #segmentSize}: when not 0 it is a large send, a TCP segment to be cut into frames with so many bytes of
 *       payload each (the last one perhaps fewer), whose IP lengths and checksums are then computed. Until then the
 *       length fields of its IP header and all checksums mean nothing;
 *   <li>its {@link #vlan}: a tag that is not in its bytes.
 * </ul>
 *
 * Sources are hostile: offsets and kinds of headers are found by parsing, with every length checked; a frame that is not
 * what its flags promise travels as it is.
 */
public final class FrameBatch {
    /** The IPv4 header's checksum is to be computed; the field means nothing. */
    public static final int IP_CHECKSUM_NEEDED = 1;

    /** The TCP or UDP checksum is to be computed; the field means nothing. */
    public static final int TRANSPORT_CHECKSUM_NEEDED = 2;

    /** The IPv4 header's checksum has been checked or computed on this host. */
    public static final int IP_CHECKSUM_GOOD = 4;

    /** The TCP or UDP checksum has been checked or computed on this host. */
    public static final int TRANSPORT_CHECKSUM_GOOD = 8;

    /** No VLAN tag travels beside the frame. */
    public static final int NO_VLAN = -1;

    /** The most bytes of a frame, large sends included. */
    public static final int MAX_LENGTH = 1 << 16;

    /** The bytes of an Ethernet header, without a VLAN tag. */
    public static final int ETHERNET_HEADER = 14;

    private static final int ALIGNMENT = 15;

    private final MemorySegment bytes;
    private final int[] offsets;
    private final int[] lengths;
    private final int[] flags;
    private final int[] segmentSizes;
    private final int[] vlans;
    private int size;
    private int end;

    /**
     * An empty batch.
     *
     * @param frames the most frames
     * @param capacity the most bytes of all of them together, at least {@link #MAX_LENGTH}
     */
    public FrameBatch(int frames, int capacity) {
        if (frames < 1 || capacity < MAX_LENGTH) {
            throw new IllegalArgumentException(frames + " frames of " + capacity + " bytes");
        }
        bytes = Arena.ofAuto().allocate(capacity + ALIGNMENT, ALIGNMENT + 1);
        offsets = new int[frames];
        lengths = new int[frames];
        flags = new int[frames];
        segmentSizes = new int[frames];
        vlans = new int[frames];
    }

    /** How many frames there are. */
    public int size() {
        return size;
    }

    /** Where the bytes of all frames are. */
    public MemorySegment bytes() {
        return bytes;
    }

    /** Where a frame begins in {@link #bytes}. */
    public int offset(int frame) {
        return offsets[check(frame)];
    }

    /** How many bytes a frame has, at most {@link #MAX_LENGTH}. */
    public int length(int frame) {
        return lengths[check(frame)];
    }

    /** Which checksums are needed or good. */
    public int flags(int frame) {
        return flags[check(frame)];
    }

    /** Whether one of these flags is set. */
    public boolean has(int frame, int anyOf) {
        return (flags(frame) & anyOf) != 0;
    }

    /** The bytes of payload of each piece of a large send, 1 to 65535; 0 for other frames. */
    public int segmentSize(int frame) {
        return segmentSizes[check(frame)];
    }

    /** The tag's 16 bits (IEEE 802.1Q-2018, section 9.6), or {@link #NO_VLAN}. */
    public int vlan(int frame) {
        return vlans[check(frame)];
    }

    private int check(int frame) {
        if (frame < 0 || frame >= size) {
            throw new IndexOutOfBoundsException("frame " + frame + " of " + size);
        }
        return frame;
    }

    /** Whether {@link #append} has room for one more frame. */
    public boolean hasRoom(int length) {
        return size < offsets.length && length <= bytes.byteSize() - end;
    }

    /** Forgets all frames. */
    public void clear() {
        size = 0;
        end = 0;
    }

    /**
     * Adds a frame, plain and with undefined bytes; the caller puts them in from the offset that it returns.
     *
     * @param length 0 to {@link #MAX_LENGTH}
     * @return its offset, or -1 when there is no room
     */
    public int append(int length) {
        if (length < 0 || length > MAX_LENGTH) {
            throw new IllegalArgumentException("a frame of " + length + " bytes");
        }
        if (!hasRoom(length)) {
            return -1;
        }
        int offset = end;
        offsets[size] = offset;
        lengths[size] = length;
        flags[size] = 0;
        segmentSizes[size] = 0;
        vlans[size] = NO_VLAN;
        size++;
        end = offset + length + ALIGNMENT & ~ALIGNMENT;
        return offset;
    }

    /** Adds a copy of another batch's frame, and what is known about it; false when there is no room. */
    public boolean append(FrameBatch other, int frame) {
        int length = other.length(frame);
        int offset = append(length);
        if (offset < 0) {
            return false;
        }
        MemorySegment.copy(other.bytes, JAVA_BYTE, other.offset(frame), bytes, JAVA_BYTE, offset, length);
        describe(size - 1, other.flags(frame), other.segmentSize(frame), other.vlan(frame));
        return true;
    }

    /** Takes back the frame that was added last. */
    public void removeLast() {
        end = offset(size - 1);
        size--;
    }

    /** Makes the frame that was added last shorter. */
    public void trimLast(int length) {
        if (length < 0 || length > length(size - 1)) {
            throw new IllegalArgumentException("a frame of " + length + " bytes");
        }
        lengths[size - 1] = length;
        end = offsets[size - 1] + length + ALIGNMENT & ~ALIGNMENT;
    }

    /**
     * Says what is known about a frame.
     *
     * @param newFlags as {@link #flags}
     * @param segmentSize as {@link #segmentSize}
     * @param vlan as {@link #vlan}
     */
    public void describe(int frame, int newFlags, int segmentSize, int vlan) {
        if (segmentSize < 0 || segmentSize > 0xffff || vlan < NO_VLAN || vlan > 0xffff) {
            throw new IllegalArgumentException("segments of " + segmentSize + " bytes, VLAN tag " + vlan);
        }
        flags[check(frame)] = newFlags;
        segmentSizes[frame] = segmentSize;
        vlans[frame] = vlan;
    }

    /** Where the frame's bytes go to or come from: a view, which allocates; for tests and what is seldom. */
    public MemorySegment view(int frame) {
        return bytes.asSlice(offset(frame), length(frame));
    }

    /** The address that a frame goes to, 48 bits as {@link MacAddress#value}; the frame has an Ethernet header. */
    public long destination(int frame) {
        return address(offset(frame));
    }

    /** The address that a frame comes from. */
    public long source(int frame) {
        return address(offset(frame) + MacAddress.LENGTH);
    }

    private long address(int at) {
        long value = 0;
        for (int i = 0; i < MacAddress.LENGTH; i++) {
            value = value << 8 | bytes.get(JAVA_BYTE, at + i) & 0xff;
        }
        return value;
    }
}
