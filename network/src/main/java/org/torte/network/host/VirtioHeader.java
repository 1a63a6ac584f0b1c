package org.torte.network.host;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import org.torte.base.net.FrameBatch;
import org.torte.base.net.FrameHeaders;
import org.torte.base.net.FrameOffloads;

/**
 * What the host's kernel and a port tell each other about a frame before its bytes ({@code struct virtio_net_hdr}, VIRTIO
 * 1.2, section 5.1.6), and the pieces in which it is read and written. For one thread at a time.
 *
 * <pre>
 *   0 flags (1 checksum needed, 2 checked)   1 kind of large send (0 none, 1 TCP on IPv4, 4 on IPv6, + 0x80 ECN)
 *   2 length of headers   4 size of segments   6 where the checksum begins   8 where it is stored, from there
 * </pre>
 */
final class VirtioHeader {
    static final int SIZE = 10;

    private static final int NEEDS_CHECKSUM = 1, DATA_VALID = 2;
    private static final int TCP4 = 1, TCP6 = 4, ECN = 0x80;
    private static final int TCP_CHECKSUM = 16, UDP_CHECKSUM = 6, TCP_FLAGS = 13, CWR = 0x80;
    /** Headers are copied, to be changed, and the rest is not. Room for extension headers. */
    private static final int HEAD = 512;

    private static final int TAG = 4, ADDRESSES = 12;
    private static final long PIECE = 16;
    private static final ValueLayout.OfShort NETWORK = ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.BIG_ENDIAN);
    private static final ValueLayout.OfShort SHORT =
            ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private final MemorySegment bytes = Arena.ofAuto().allocate(64 + HEAD + TAG, 8);
    private final MemorySegment pieces = Arena.ofAuto().allocate(2 * PIECE, 8);
    private final FrameHeaders headers = new FrameHeaders();

    /** The array of {@code struct iovec}. */
    MemorySegment pieces() {
        return pieces;
    }

    /** The pieces to read a header and a frame of at most {@code length} bytes at {@code at} of a batch's memory. */
    MemorySegment piecesFor(MemorySegment batch, long at, long length) {
        piece(0, bytes.address(), SIZE);
        piece(1, batch.address() + at, length);
        return pieces;
    }

    private void piece(int index, long address, long length) {
        pieces.set(JAVA_LONG, index * PIECE, address);
        pieces.set(JAVA_LONG, index * PIECE + 8, length);
    }

    /** Says about a frame what was read with it. */
    void tell(FrameBatch batch, int frame) {
        int flags = bytes.get(JAVA_BYTE, 0);
        int kind = bytes.get(JAVA_BYTE, 1) & ~ECN & 0xff;
        int size = kind == TCP4 || kind == TCP6 ? bytes.get(SHORT, 4) & 0xffff : 0;
        int known = (flags & NEEDS_CHECKSUM) != 0
                ? FrameBatch.TRANSPORT_CHECKSUM_NEEDED
                : (flags & DATA_VALID) != 0 ? FrameBatch.TRANSPORT_CHECKSUM_GOOD : 0;
        batch.describe(frame, size != 0 ? known | FrameBatch.IP_CHECKSUM_NEEDED : known, size, FrameBatch.NO_VLAN);
    }

    /**
     * Prepares the header and the pieces to write a frame; returns how many pieces. The kernel wants the sum of the pseudo
     * header where the checksum will be, and IP lengths that are right.
     */
    int describe(FrameBatch batch, int frame) {
        int offset = batch.offset(frame);
        int length = batch.length(frame);
        int copied = Math.min(length, HEAD);
        int at = 16; // a multiple of 8, and SIZE bytes before it the header
        int start = at - SIZE;
        bytes.asSlice(start, SIZE).fill((byte) 0);
        int tag = batch.vlan(frame);
        int shift = 0;
        if (tag != FrameBatch.NO_VLAN && length >= FrameBatch.ETHERNET_HEADER) {
            shift = TAG;
            MemorySegment.copy(batch.bytes(), offset, bytes, at, ADDRESSES);
            bytes.set(NETWORK, at + ADDRESSES, (short) 0x8100);
            bytes.set(NETWORK, at + ADDRESSES + 2, (short) tag);
            MemorySegment.copy(batch.bytes(), offset + ADDRESSES, bytes, at + ADDRESSES + TAG, copied - ADDRESSES);
        } else {
            MemorySegment.copy(batch.bytes(), offset, bytes, at, copied);
        }
        int flags = batch.flags(frame);
        int segment = batch.segmentSize(frame);
        if (segment != 0 || (flags & (FrameBatch.TRANSPORT_CHECKSUM_NEEDED | FrameBatch.IP_CHECKSUM_NEEDED)) != 0) {
            headers.parse(batch, frame);
            offloads(flags, segment, start, at - offset + shift, offset - shift);
        } else if ((flags & FrameBatch.TRANSPORT_CHECKSUM_GOOD) != 0) {
            bytes.set(JAVA_BYTE, start, (byte) DATA_VALID);
        }
        piece(0, bytes.address() + start, SIZE + copied + shift);
        if (copied == length) {
            return 1;
        }
        piece(1, batch.bytes().address() + offset + copied, length - copied);
        return 2;
    }

    /**
     * Describes what is left to do.
     *
     * @param move what to add to a position in the batch for the one in our copy
     * @param frameStart where the frame, with its tag, begins in the batch's positions
     */
    private void offloads(int flags, int segment, int start, int move, int frameStart) {
        int ip = headers.ip() + move;
        if (headers.isIpv4() && (segment != 0 || (flags & FrameBatch.IP_CHECKSUM_NEEDED) != 0)) {
            if (segment != 0) {
                bytes.set(NETWORK, ip + 2, (short) (headers.ipEnd() - headers.ip()));
            }
            int header = (bytes.get(JAVA_BYTE, ip) & 15) * 4;
            bytes.set(NETWORK, ip + 10, (short) 0);
            bytes.set(NETWORK, ip + 10, (short) ~sum(ip, header, 0));
        } else if (headers.isIpv6() && segment != 0) {
            bytes.set(NETWORK, ip + 4, (short) (headers.ipEnd() - headers.ip() - 40));
        }
        boolean wanted = segment != 0 || (flags & FrameBatch.TRANSPORT_CHECKSUM_NEEDED) != 0;
        if (!wanted || headers.transport() < 0 || headers.payload() + move > bytes.byteSize()) {
            return;
        }
        int transport = headers.transport() + move;
        int field = headers.isTcp() ? TCP_CHECKSUM : UDP_CHECKSUM;
        int length = headers.ipEnd() - headers.transport();
        long pseudo = (headers.isTcp() ? FrameHeaders.TCP : FrameHeaders.UDP) + (long) length;
        pseudo = headers.isIpv4() ? sum(ip + 12, 8, pseudo) : sum(ip + 8, 32, pseudo);
        bytes.set(NETWORK, transport + field, (short) pseudo);
        bytes.set(JAVA_BYTE, start, (byte) NEEDS_CHECKSUM);
        bytes.set(SHORT, start + 6, (short) (headers.transport() - frameStart));
        bytes.set(SHORT, start + 8, (short) field);
        if (segment != 0 && headers.isTcp()) {
            boolean ecn = (bytes.get(JAVA_BYTE, transport + TCP_FLAGS) & CWR) != 0;
            bytes.set(JAVA_BYTE, start + 1, (byte) ((headers.isIpv4() ? TCP4 : TCP6) | (ecn ? ECN : 0)));
            bytes.set(SHORT, start + 2, (short) (headers.payload() - frameStart));
            // Kernels believe what they are told, and would cut 64 KiB into as many packets.
            bytes.set(SHORT, start + 4, (short) Math.max(segment, FrameOffloads.MIN_SEGMENT));
        }
    }

    /** The folded one's complement sum (RFC 1071). */
    private long sum(int from, int length, long start) {
        long sum = start;
        for (int i = 0; i < length; i += 2) {
            sum += bytes.get(NETWORK, from + i) & 0xffff;
        }
        while (sum >>> 16 != 0) {
            sum = (sum & 0xffff) + (sum >>> 16);
        }
        return sum;
    }
}
