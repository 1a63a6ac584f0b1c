package org.torte.machine.network;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import java.lang.foreign.MemorySegment;
import org.torte.base.StateInput;
import org.torte.base.StateOutput;
import org.torte.base.net.FrameBatch;

/** Frames in saved state: {count 4, and for each flags 4, segment size 4, VLAN tag 4, bytes}. */
final class FrameState {
    private FrameState() {}

    /** Writes those from {@code first} on. */
    static void save(StateOutput state, FrameBatch batch, int first) {
        state.putInt(batch.size() - first);
        for (int i = first; i < batch.size(); i++) {
            state.putInt(batch.flags(i)).putInt(batch.segmentSize(i)).putInt(batch.vlan(i));
            state.putBytes(batch.view(i).toArray(JAVA_BYTE));
        }
    }

    /** Appends what {@link #save} wrote. */
    static void restore(StateInput state, FrameBatch batch) {
        int count = state.getInt();
        for (int i = 0; i < count; i++) {
            int flags = state.getInt();
            int segment = state.getInt();
            int vlan = state.getInt();
            byte[] frame = state.getBytes();
            int offset = frame.length > FrameBatch.MAX_LENGTH ? -1 : batch.append(frame.length);
            state.check(
                    offset >= 0 && segment >= 0 && segment <= 0xffff && vlan >= FrameBatch.NO_VLAN && vlan <= 0xffff,
                    "frame " + i + " of " + count);
            MemorySegment.copy(frame, 0, batch.bytes(), JAVA_BYTE, offset, frame.length);
            batch.describe(batch.size() - 1, flags, segment, vlan);
        }
        state.check(count >= 0, count + " frames");
    }
}
