package org.torte.machine.network;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.torte.base.net.FrameBatch;
import org.torte.base.net.LinkState;
import org.torte.base.net.NetworkAdapter;
import org.torte.base.net.NetworkPort;
import org.torte.base.net.PortStatistics;

/** A port that keeps what it gets, as much as it may. */
final class PortRecorder implements NetworkPort {
    final List<byte[]> frames = new ArrayList<>();
    final List<Integer> flags = new ArrayList<>();
    final List<Integer> segments = new ArrayList<>();
    final List<Integer> vlans = new ArrayList<>();
    int room = Integer.MAX_VALUE;
    int roomNews;
    LinkState link = new LinkState(true, LinkState.DEFAULT_SPEED, 1500);

    @Nullable
    NetworkAdapter adapter;

    @Override
    public void plug(NetworkAdapter newAdapter) {
        adapter = newAdapter;
        newAdapter.linkChanged();
    }

    @Override
    public void unplug() {
        adapter = null;
    }

    @Override
    public LinkState link() {
        return link;
    }

    @Override
    public int send(FrameBatch batch, int first) {
        int taken = Math.min(room, batch.size() - first);
        for (int i = first; i < first + taken; i++) {
            frames.add(batch.view(i).toArray(JAVA_BYTE));
            flags.add(batch.flags(i));
            segments.add(batch.segmentSize(i));
            vlans.add(batch.vlan(i));
        }
        room -= taken;
        return taken;
    }

    @Override
    public void roomAvailable() {
        roomNews++;
    }

    @Override
    public PortStatistics statistics() {
        return new PortStatistics(0, 0, 0, 0, 0, 0);
    }

    @Override
    public void close() {}

    /** Sends a frame to an adapter; whether it took it. */
    static boolean give(NetworkAdapter adapter, byte[] frame, int flags, int segment, int vlan) {
        FrameBatch batch = new FrameBatch(1, FrameBatch.MAX_LENGTH);
        int offset = batch.append(frame.length);
        MemorySegment.copy(frame, 0, batch.bytes(), JAVA_BYTE, offset, frame.length);
        batch.describe(0, flags, segment, vlan);
        return adapter.receive(batch, 0) == 1;
    }
}
