package org.torte.base.net;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_SHORT_UNALIGNED;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/**
 * Does in software what a frame's sender left to others: checksums, and cutting large sends. For whoever takes frames to
 * where nobody else does it. Made once and used again and again; not for several threads.
 */
public final class FrameOffloads {
    /** The least payload of a piece of a large send (RFC 9293 knows no limit; Linux has this one). */
    public static final int MIN_SEGMENT = 48;

    private static final ValueLayout.OfShort SHORT = JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.BIG_ENDIAN);
    private static final ValueLayout.OfInt INT = JAVA_INT_UNALIGNED.withOrder(ByteOrder.BIG_ENDIAN);

    private static final int GOOD = FrameBatch.IP_CHECKSUM_GOOD | FrameBatch.TRANSPORT_CHECKSUM_GOOD;
    private static final int IPV4_LENGTH = 2, IPV4_ID = 4, IPV4_CHECKSUM = 10, IPV4_ADDRESSES = 12;
    private static final int IPV6_LENGTH = 4, IPV6_ADDRESSES = 8, IPV6_HEADER = 40;
    private static final int TCP_SEQUENCE = 4, TCP_FLAGS = 13, TCP_CHECKSUM = 16, UDP_CHECKSUM = 6;
    private static final int FIN = 1, PSH = 8, CWR = 0x80;

    private final FrameHeaders headers = new FrameHeaders();

    /** Nothing to do yet. */
    public FrameOffloads() {}

    /**
     * Computes the checksums that a frame still needs, in place. The frame is none of a large send.
     *
     * <p>What the frame does not have, such as a transport checksum in a fragment, is left alone.
     */
    public void completeChecksums(FrameBatch batch, int frame) {
        int flags = batch.flags(frame);
        if ((flags & (FrameBatch.IP_CHECKSUM_NEEDED | FrameBatch.TRANSPORT_CHECKSUM_NEEDED)) == 0) {
            return;
        }
        headers.parse(batch, frame);
        int done = 0;
        if ((flags & FrameBatch.IP_CHECKSUM_NEEDED) != 0 && headers.isIpv4()) {
            completeIpv4(batch.bytes());
            done |= FrameBatch.IP_CHECKSUM_GOOD;
        }
        if ((flags & FrameBatch.TRANSPORT_CHECKSUM_NEEDED) != 0 && headers.transport() >= 0) {
            completeTransport(batch.bytes());
            done |= FrameBatch.TRANSPORT_CHECKSUM_GOOD;
        }
        flags &= ~(FrameBatch.IP_CHECKSUM_NEEDED | FrameBatch.TRANSPORT_CHECKSUM_NEEDED);
        batch.describe(frame, flags | done, batch.segmentSize(frame), batch.vlan(frame));
    }

    private void completeIpv4(MemorySegment bytes) {
        int ip = headers.ip();
        int end = ip + ((bytes.get(JAVA_BYTE, ip) & 0xf) << 2);
        InternetChecksum.store(bytes, ip + IPV4_CHECKSUM, 0);
        InternetChecksum.store(
                bytes, ip + IPV4_CHECKSUM, InternetChecksum.finish(InternetChecksum.sum(bytes, ip, end)));
    }

    private void completeTransport(MemorySegment bytes) {
        int at = headers.transport() + (headers.isTcp() ? TCP_CHECKSUM : UDP_CHECKSUM);
        InternetChecksum.store(bytes, at, 0);
        int checksum = InternetChecksum.finish(transportSum(bytes));
        InternetChecksum.store(bytes, at, checksum == 0 && headers.isUdp() ? 0xffff : checksum);
    }

    /** The sum of the pseudo header and what it is about. */
    private long transportSum(MemorySegment bytes) {
        int ip = headers.ip();
        long sum = headers.isIpv4()
                ? InternetChecksum.sum(bytes, ip + IPV4_ADDRESSES, ip + IPV4_ADDRESSES + 8)
                : InternetChecksum.sum(bytes, ip + IPV6_ADDRESSES, ip + IPV6_HEADER);
        sum += InternetChecksum.networkShort(headers.isTcp() ? FrameHeaders.TCP : FrameHeaders.UDP);
        sum += InternetChecksum.networkShort(headers.ipEnd() - headers.transport());
        return sum + InternetChecksum.sum(bytes, headers.transport(), headers.ipEnd());
    }

    /** Whether a frame's IPv4 header has a right checksum; false when there is no such header. */
    public boolean ipChecksumRight(FrameBatch batch, int frame) {
        headers.parse(batch, frame);
        int ip = headers.ip();
        return headers.isIpv4()
                && InternetChecksum.finish(InternetChecksum.sum(
                                batch.bytes(), ip, ip + ((batch.bytes().get(JAVA_BYTE, ip) & 0xf) << 2)))
                        == 0;
    }

    /** Whether a frame's TCP or UDP checksum is right; false when there is none. */
    public boolean transportChecksumRight(FrameBatch batch, int frame) {
        headers.parse(batch, frame);
        return headers.transport() >= 0 && InternetChecksum.finish(transportSum(batch.bytes())) == 0;
    }

    /** How many pieces a large send has; 0 when it is none that can be cut. */
    public int pieces(FrameBatch batch, int frame) {
        int size = batch.segmentSize(frame);
        headers.parse(batch, frame);
        if (size < MIN_SEGMENT || !headers.isTcp()) {
            return 0;
        }
        int bytes = headers.ipEnd() - headers.payload();
        return Math.max(1, (bytes + size - 1) / size);
    }

    /**
     * Cuts a large send: appends its pieces, complete with lengths and checksums, to another batch.
     *
     * @param first the piece to begin with; 0, or what an earlier call returned
     * @return the piece to go on with when {@code target} has room again, or the number of pieces when all are there
     */
    public int cut(FrameBatch source, int frame, int first, FrameBatch target) {
        int pieces = pieces(source, frame);
        int size = source.segmentSize(frame);
        int start = source.offset(frame);
        int head = headers.payload() - start;
        int bytes = headers.ipEnd() - headers.payload();
        int payload = headers.payload();
        int ip = headers.ip() - start;
        int transport = headers.transport() - start;
        boolean ipv4 = headers.isIpv4();
        for (int piece = first; piece < pieces; piece++) {
            int part = Math.min(size, bytes - piece * size);
            int offset = target.append(head + part);
            if (offset < 0) {
                return piece;
            }
            MemorySegment to = target.bytes();
            MemorySegment.copy(source.bytes(), start, to, offset, head);
            MemorySegment.copy(source.bytes(), payload + (long) piece * size, to, offset + head, part);
            if (ipv4) {
                int id = offset + ip + IPV4_ID;
                to.set(SHORT, id, (short) (to.get(SHORT, id) + piece));
            }
            setIpLength(to, offset + ip, ipv4, head - ip + part);
            int tcp = offset + transport;
            to.set(INT, tcp + TCP_SEQUENCE, to.get(INT, tcp + TCP_SEQUENCE) + piece * size);
            int drop = (piece < pieces - 1 ? FIN | PSH : 0) | (piece > 0 ? CWR : 0);
            to.set(JAVA_BYTE, tcp + TCP_FLAGS, (byte) (to.get(JAVA_BYTE, tcp + TCP_FLAGS) & ~drop));
            int last = target.size() - 1;
            target.describe(
                    last, FrameBatch.IP_CHECKSUM_NEEDED | FrameBatch.TRANSPORT_CHECKSUM_NEEDED, 0, source.vlan(frame));
            completeChecksums(target, last);
        }
        return pieces;
    }

    private static void setIpLength(MemorySegment bytes, int ip, boolean ipv4, int length) {
        if (ipv4) {
            bytes.set(SHORT, ip + IPV4_LENGTH, (short) length);
        } else {
            bytes.set(SHORT, ip + IPV6_LENGTH, (short) (length - IPV6_HEADER));
        }
    }

    /**
     * Turns a large send into one frame that is longer than the link allows, for guests that take such frames: sets the
     * lengths and the IPv4 checksum; the transport checksum is taken for good. The segment size stays.
     *
     * @return false when it is none that could be cut either
     */
    public boolean completeWhole(FrameBatch batch, int frame) {
        if (pieces(batch, frame) == 0) {
            return false;
        }
        int length = headers.ipEnd() - headers.ip();
        if (length - (headers.isIpv4() ? 0 : IPV6_HEADER) > 0xffff) {
            return false;
        }
        setIpLength(batch.bytes(), headers.ip(), headers.isIpv4(), length);
        if (headers.isIpv4()) {
            completeIpv4(batch.bytes());
        }
        batch.describe(frame, GOOD, batch.segmentSize(frame), batch.vlan(frame));
        return true;
    }
}
