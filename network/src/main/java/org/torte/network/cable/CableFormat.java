package org.torte.network.cable;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import org.torte.base.net.FrameBatch;
import org.torte.base.net.LinkState;

/**
 * What goes through the socket of a cable, in network order. Each end begins with a greeting:
 *
 * <pre>
 *  0 "TORTECBL"            8 bytes
 *  8 version 1             4
 * 12 largest frame's MTU   4
 * </pre>
 *
 * Frames follow:
 *
 * <pre>
 *  0 length                4, 14 to 65536
 *  4 flags                 2, as {@link FrameBatch#flags}
 *  6 segment size          2
 *  8 VLAN tag              4, -1 for none
 * 12 bytes
 * </pre>
 */
final class CableFormat {
    static final int GREETING = 16, HEADER = 12;
    static final int LONGEST = HEADER + FrameBatch.MAX_LENGTH;

    private static final long MAGIC = 0x544f52544543424cL;
    private static final int VERSION = 1;
    private static final int FLAGS = 0xf;

    /** How a look at what has come ended. */
    enum Found {
        FRAME,
        /** There is no whole frame yet. */
        NOTHING,
        /** The batch has no room for the frame. */
        NO_ROOM,
        /** The other end does not speak this language. */
        NONSENSE
    }

    private CableFormat() {}

    static void putGreeting(ByteBuffer out, int mtu) {
        out.putLong(MAGIC).putInt(VERSION).putInt(mtu);
    }

    /** Reads a whole greeting; gives the other end's MTU, or -1 when it is none. */
    static int greeting(ByteBuffer in) {
        boolean known = in.getLong() == MAGIC;
        known &= in.getInt() == VERSION;
        int mtu = in.getInt();
        return known && mtu >= LinkState.MIN_MTU && mtu <= LinkState.MAX_MTU ? mtu : -1;
    }

    /** Writes a frame, for which there must be room. */
    static void put(ByteBuffer out, FrameBatch batch, int frame) {
        int length = batch.length(frame);
        out.putInt(length)
                .putShort((short) batch.flags(frame))
                .putShort((short) batch.segmentSize(frame))
                .putInt(batch.vlan(frame));
        MemorySegment.copy(batch.bytes(), batch.offset(frame), MemorySegment.ofBuffer(out), 0, length);
        out.position(out.position() + length);
    }

    /** Takes the next frame, if it is there, and appends it. */
    static Found take(ByteBuffer in, FrameBatch batch) {
        if (in.remaining() < HEADER) {
            return Found.NOTHING;
        }
        int at = in.position();
        int length = in.getInt(at);
        int flags = in.getShort(at + 4) & 0xffff;
        int vlan = in.getInt(at + 8);
        if (length < FrameBatch.ETHERNET_HEADER
                || length > FrameBatch.MAX_LENGTH
                || (flags & ~FLAGS) != 0
                || vlan < FrameBatch.NO_VLAN
                || vlan > 0xffff) {
            return Found.NONSENSE;
        }
        if (in.remaining() < HEADER + length) {
            return Found.NOTHING;
        }
        int offset = batch.append(length);
        if (offset < 0) {
            return Found.NO_ROOM;
        }
        batch.describe(batch.size() - 1, flags, in.getShort(at + 6) & 0xffff, vlan);
        in.position(at + HEADER);
        MemorySegment.copy(MemorySegment.ofBuffer(in), JAVA_BYTE, 0, batch.bytes(), JAVA_BYTE, offset, length);
        in.position(at + HEADER + length);
        return Found.FRAME;
    }
}
