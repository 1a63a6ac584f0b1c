package org.torte.network;

import java.util.concurrent.atomic.LongAdder;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.torte.base.net.FrameBatch;
import org.torte.base.net.NetworkAdapter;

/**
 * What is plugged into a port that has a thread of its own to bring frames, and what it got. Only one call of the adapter is
 * under way at a time, and none when {@link #unplug} has returned. Safe for several threads.
 */
public final class PluggedAdapter {
    private final ReentrantLock calls = new ReentrantLock();
    private @Nullable NetworkAdapter adapter;
    private final LongAdder frames = new LongAdder();
    private final LongAdder bytes = new LongAdder();
    private final LongAdder dropped = new LongAdder();

    /** A place where nothing is plugged in yet. */
    public PluggedAdapter() {}

    /**
     * Plugs one in and tells it the link.
     *
     * @throws IllegalStateException when there is one
     */
    public void plug(NetworkAdapter newAdapter) {
        calls.lock();
        try {
            if (adapter != null) {
                throw new IllegalStateException("there is an adapter already");
            }
            adapter = newAdapter;
            newAdapter.linkChanged();
        } finally {
            calls.unlock();
        }
    }

    /** Takes it out, if there is one. */
    public void unplug() {
        calls.lock();
        try {
            adapter = null;
        } finally {
            calls.unlock();
        }
    }

    /** Tells it something, if there is one. */
    public void tell(Consumer<NetworkAdapter> news) {
        calls.lock();
        try {
            if (adapter != null) {
                news.accept(adapter);
            }
        } finally {
            calls.unlock();
        }
    }

    /**
     * Gives it frames from {@code first} on; without an adapter they are dropped.
     *
     * @return how many are dealt with
     */
    public int give(FrameBatch batch, int first) {
        calls.lock();
        try {
            if (adapter == null) {
                dropped.add(batch.size() - first);
                return batch.size() - first;
            }
            int taken = adapter.receive(batch, first);
            frames.add(taken);
            for (int i = 0; i < taken; i++) {
                bytes.add(batch.length(first + i));
            }
            return taken;
        } finally {
            calls.unlock();
        }
    }

    /** Frames that adapters have taken. */
    public long frames() {
        return frames.sum();
    }

    /** The bytes of these. */
    public long bytes() {
        return bytes.sum();
    }

    /** Frames that came while there was none. */
    public long dropped() {
        return dropped.sum();
    }
}
