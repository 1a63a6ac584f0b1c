package org.torte.network.cable;

import java.util.concurrent.atomic.LongAdder;
import org.jspecify.annotations.Nullable;
import org.torte.base.net.FrameBatch;
import org.torte.base.net.LinkState;
import org.torte.base.net.NetworkAdapter;
import org.torte.base.net.NetworkPort;
import org.torte.base.net.PortStatistics;

/** A plug that gives back what it gets. Safe for several threads. */
public final class LoopbackPort implements NetworkPort {
    private final LinkState link;
    private final LongAdder frames = new LongAdder();
    private final LongAdder bytes = new LongAdder();
    private volatile @Nullable NetworkAdapter adapter;

    /** A loopback for frames of this size. */
    public LoopbackPort(int mtu) {
        link = new LinkState(true, LinkState.DEFAULT_SPEED, mtu);
    }

    @Override
    public void plug(NetworkAdapter newAdapter) {
        synchronized (this) {
            if (adapter != null) {
                throw new IllegalStateException("there is an adapter already");
            }
            adapter = newAdapter;
        }
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

    /** What the adapter does not take stays with it, as its sender. */
    @Override
    public int send(FrameBatch batch, int first) {
        NetworkAdapter current = adapter;
        int taken = current == null ? batch.size() - first : current.receive(batch, first);
        for (int i = first; i < first + taken; i++) {
            bytes.add(batch.length(i));
        }
        frames.add(taken);
        return taken;
    }

    @Override
    public void roomAvailable() {
        NetworkAdapter current = adapter;
        if (current != null) {
            current.roomAvailable();
        }
    }

    @Override
    public PortStatistics statistics() {
        return new PortStatistics(frames.sum(), bytes.sum(), frames.sum(), bytes.sum(), 0, 0);
    }

    @Override
    public void close() {
        unplug();
    }
}
