package org.torte.network.capture;

import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;
import org.torte.base.net.FrameBatch;
import org.torte.base.net.LinkState;
import org.torte.base.net.MacAddress;
import org.torte.base.net.NetworkAdapter;
import org.torte.base.net.NetworkPort;
import org.torte.base.net.PortStatistics;
import org.torte.network.FrameTap;

/**
 * A port of any kind, and one who sees all frames on both ways through it while he wants to. Nothing else changes. A frame
 * is seen before it goes on, so that an answer comes after what it answers, and once, though it may have to be offered
 * again. Safe for several threads.
 */
public final class TappedPort implements NetworkPort {
    private final NetworkPort port;
    private volatile @Nullable FrameTap tap;

    /** Frames that have been seen and are to be offered again, of each way. */
    private final AtomicInteger sentSeen = new AtomicInteger();

    private final AtomicInteger receivedSeen = new AtomicInteger();

    /** A port that belongs to this one from here on. */
    public TappedPort(NetworkPort port) {
        this.port = port;
    }

    /** Lets somebody see the frames, instead of whom there was before; null ends it. */
    public void setTap(@Nullable FrameTap newTap) {
        sentSeen.set(0);
        receivedSeen.set(0);
        tap = newTap;
    }

    /** Shows the frames that have not been seen. */
    private void show(FrameTap current, FrameBatch frames, int first, boolean sent, AtomicInteger seen) {
        for (int i = first + seen.getAndSet(0); i < frames.size(); i++) {
            current.frame(frames, i, sent, frames.vlan(i));
        }
        current.flush();
    }

    @Override
    public void plug(NetworkAdapter adapter) {
        port.plug(new SeenAdapter(adapter));
    }

    @Override
    public void unplug() {
        port.unplug();
        sentSeen.set(0);
        receivedSeen.set(0);
    }

    @Override
    public LinkState link() {
        return port.link();
    }

    @Override
    public int send(FrameBatch frames, int first) {
        FrameTap current = tap;
        if (current == null) {
            return port.send(frames, first);
        }
        show(current, frames, first, true, sentSeen);
        int taken = port.send(frames, first);
        sentSeen.set(frames.size() - first - taken);
        return taken;
    }

    @Override
    public void roomAvailable() {
        port.roomAvailable();
    }

    @Override
    public PortStatistics statistics() {
        return port.statistics();
    }

    @Override
    public void close() {
        tap = null;
        port.close();
    }

    private final class SeenAdapter implements NetworkAdapter {
        private final NetworkAdapter adapter;

        SeenAdapter(NetworkAdapter adapter) {
            this.adapter = adapter;
        }

        @Override
        public MacAddress address() {
            return adapter.address();
        }

        @Override
        public int receive(FrameBatch frames, int first) {
            FrameTap current = tap;
            if (current == null) {
                return adapter.receive(frames, first);
            }
            show(current, frames, first, false, receivedSeen);
            int taken = adapter.receive(frames, first);
            receivedSeen.set(frames.size() - first - taken);
            return taken;
        }

        @Override
        public void linkChanged() {
            adapter.linkChanged();
        }

        @Override
        public void roomAvailable() {
            adapter.roomAvailable();
        }
    }
}
