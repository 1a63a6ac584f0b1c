package org.torte.network.ring;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.lang.foreign.MemorySegment;
import org.torte.base.net.FrameBatch;

/** The end of a ring that reads. For one thread at a time. */
public final class RingReader {
    private static final int FLAGS = FrameBatch.IP_CHECKSUM_NEEDED
            | FrameBatch.TRANSPORT_CHECKSUM_NEEDED
            | FrameBatch.IP_CHECKSUM_GOOD
            | FrameBatch.TRANSPORT_CHECKSUM_GOOD;

    private final MemorySegment ring;
    /** What has been taken. */
    private long position;
    /** Where the writer was when it was last looked at. */
    private long writer;

    /** Reads a new ring. */
    public RingReader(MemorySegment ring) {
        this.ring = ring;
    }

    /**
     * Copies frames out and frees their place, as many as there are and the batch has room for.
     *
     * @return how many were appended, or -1 when the other end does not keep to the rules
     */
    public int read(FrameBatch into) {
        long end = Ring.read(ring, Ring.PRODUCER);
        if (end < writer || end - position > Ring.DATA || (end & Ring.ALIGNMENT) != 0) {
            return -1;
        }
        writer = end;
        long at = position;
        int taken = 0;
        while (at != end) {
            int index = (int) (at & Ring.DATA - 1);
            int toEnd = Ring.DATA - index;
            long left = Math.min(end - at, toEnd);
            long from = Ring.RECORDS + index;
            int length = ring.get(JAVA_INT, from);
            if (length == Ring.SKIP) {
                if (left != toEnd) {
                    return -1;
                }
                at += toEnd;
                continue;
            }
            if (length < 0 || length > FrameBatch.MAX_LENGTH || Ring.record(length) > left) {
                return -1;
            }
            int flags = ring.get(JAVA_INT, from + 4);
            int segmentSize = ring.get(JAVA_INT, from + 8);
            int vlan = ring.get(JAVA_INT, from + 12);
            if ((flags & ~FLAGS) != 0 || segmentSize >>> 16 != 0 || vlan < FrameBatch.NO_VLAN || vlan > 0xffff) {
                return -1;
            }
            int offset = into.append(length);
            if (offset < 0) {
                break;
            }
            into.describe(into.size() - 1, flags, segmentSize, vlan);
            MemorySegment.copy(ring, JAVA_BYTE, from + Ring.HEAD, into.bytes(), JAVA_BYTE, offset, length);
            at += Ring.record(length);
            taken++;
        }
        if (at != position) {
            position = at;
            Ring.show(ring, Ring.CONSUMER, at);
        }
        return taken;
    }

    /** Whether the writer waits for room, of which there is enough now: it is to be woken. */
    public boolean mustWake() {
        return writer - position <= Ring.DATA / 2 && Ring.took(ring, Ring.WAITS);
    }

    /** Whether something was written that has not been read. */
    boolean hasFrames() {
        return Ring.read(ring, Ring.PRODUCER) != position;
    }

    /**
     * Asks to be woken when something is written.
     *
     * @return whether there is something already: nobody wakes then
     */
    public boolean askForFrames() {
        Ring.raise(ring, Ring.ASLEEP);
        if (hasFrames()) {
            Ring.lower(ring, Ring.ASLEEP);
            return true;
        }
        return false;
    }
}
