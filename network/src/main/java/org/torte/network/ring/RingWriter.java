package org.torte.network.ring;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.lang.foreign.MemorySegment;
import org.torte.base.net.FrameBatch;

/** The end of a ring that writes. For one thread at a time. */
public final class RingWriter {
    private final MemorySegment ring;
    /** Where the next record goes. */
    private long position;
    /** Where the reader was when it was last looked at: all that is before is free. */
    private long reader;

    /** Writes into a new ring. */
    public RingWriter(MemorySegment ring) {
        this.ring = ring;
    }

    /**
     * Writes frames, in order, as many as there is room for.
     *
     * @return how many it has written from {@code first} on, or -1 when the other end does not keep to the rules
     */
    public int write(FrameBatch frames, int first) {
        int frame = first;
        long at = position;
        for (; frame < frames.size(); frame++) {
            int length = frames.length(frame);
            int size = Ring.record(length);
            int index = (int) (at & Ring.DATA - 1);
            int toEnd = Ring.DATA - index;
            int skipped = size > toEnd ? toEnd : 0;
            if (at + skipped + size - reader > Ring.DATA) {
                if (!look(at)) {
                    return -1;
                }
                if (at + skipped + size - reader > Ring.DATA) {
                    break;
                }
            }
            if (skipped != 0) {
                ring.set(JAVA_INT, Ring.RECORDS + index, Ring.SKIP);
                at += skipped;
                index = 0;
            }
            long to = Ring.RECORDS + index;
            ring.set(JAVA_INT, to, length);
            ring.set(JAVA_INT, to + 4, frames.flags(frame));
            ring.set(JAVA_INT, to + 8, frames.segmentSize(frame));
            ring.set(JAVA_INT, to + 12, frames.vlan(frame));
            MemorySegment.copy(
                    frames.bytes(), JAVA_BYTE, frames.offset(frame), ring, JAVA_BYTE, to + Ring.HEAD, length);
            at += size;
        }
        if (at != position) {
            position = at;
            Ring.show(ring, Ring.PRODUCER, at);
        }
        return frame - first;
    }

    /** Looks where the reader is now; false when it cannot be there. */
    private boolean look(long at) {
        long now = Ring.read(ring, Ring.CONSUMER);
        // Nothing that this call has written is shown yet, so it is not read yet either.
        if (now < reader || now > position || (now & Ring.ALIGNMENT) != 0 || at - now > Ring.DATA) {
            return false;
        }
        reader = now;
        return true;
    }

    /** Whether the reader sleeps, and is to be woken now. */
    public boolean mustWake() {
        return Ring.took(ring, Ring.ASLEEP);
    }

    /**
     * Asks to be woken when there is room.
     *
     * @return whether there is room already: nobody wakes then
     */
    public boolean askForRoom() {
        Ring.raise(ring, Ring.WAITS);
        if (position - Ring.read(ring, Ring.CONSUMER) <= Ring.DATA / 2) {
            Ring.lower(ring, Ring.WAITS);
            return true;
        }
        return false;
    }
}
