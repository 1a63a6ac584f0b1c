package org.torte.network;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import java.lang.foreign.MemorySegment;
import java.net.InetAddress;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.torte.base.Timers;
import org.torte.base.net.FrameBatch;
import org.torte.base.net.LinkState;
import org.torte.base.net.NetworkAdapter;
import org.torte.base.net.NetworkPort;
import org.torte.base.net.PortStatistics;

/**
 * A port of a {@link VirtualSwitch}. What it gets for its adapter while that has no room, or while another thread is just
 * delivering, waits in bounded memory; what is more is dropped. Safe for several threads.
 */
public final class SwitchPort implements NetworkPort {
    private static final int QUEUE_FRAMES = 512;
    private static final int QUEUE_BYTES = 1 << 20;
    private static final FrameTap[] NO_TAPS = {};

    private final VirtualSwitch network;
    private final PortCounters counters = new PortCounters();
    private final AtomicReference<@Nullable Forwarder> spare = new AtomicReference<>();
    private final Timers.Timer refill;
    private volatile PortPolicy policy;
    private volatile FrameTap[] taps = NO_TAPS;
    private volatile long ownAddress = -1;
    private final StationAddresses addresses = new StationAddresses();

    /** Belong to the address table, under its lock. */
    int learned;

    long swept;

    /** Guards what follows. Never held while an adapter is called. */
    private final Object lock = new Object();

    private @Nullable NetworkAdapter adapter;
    private @Nullable Thread deliverer;
    private int notifying;
    /** The adapter took less than it was given and has not called {@link #roomAvailable} since. */
    private boolean stalled;
    /** It called that while frames were being delivered. */
    private boolean room;

    private @Nullable FrameBatch pending;
    /** Belongs to the deliverer, if there is one. */
    private @Nullable FrameBatch draining;

    private int drainAt;
    private boolean closed;

    SwitchPort(VirtualSwitch network, PortSettings settings) {
        this.network = network;
        policy = new PortPolicy(settings, network.clock().nanos());
        refill = network.timers().create(this::bandwidthAvailable);
    }

    /** What an administrator has said about it. */
    public PortSettings settings() {
        return policy.settings;
    }

    /** Changes what holds for it, from the next frame on. */
    public void configure(PortSettings settings) {
        LinkState before = link();
        policy = new PortPolicy(settings, network.clock().nanos());
        network.changed(this);
        if (!link().equals(before)) {
            notifyAdapter(NetworkAdapter::linkChanged);
        }
        bandwidthAvailable();
    }

    /** What was not delivered, and why: frames that its adapter sent, or that were for it. */
    public Map<DropReason, Long> drops(boolean sent) {
        return counters.drops(sent);
    }

    /** Shows what goes through to somebody, until {@link #removeTap}. */
    public synchronized void addTap(FrameTap tap) {
        FrameTap[] more = Arrays.copyOf(taps, taps.length + 1);
        more[taps.length] = tap;
        taps = more;
    }

    /** Shows nothing more to him. A call may still be under way. */
    public synchronized void removeTap(FrameTap tap) {
        taps = Arrays.stream(taps).filter(other -> !other.equals(tap)).toArray(FrameTap[]::new);
    }

    @Override
    public void plug(NetworkAdapter newAdapter) {
        synchronized (lock) {
            if (closed) {
                throw new IllegalStateException("the port " + settings().name() + " is closed");
            }
            if (adapter != null) {
                throw new IllegalStateException(
                        "something is plugged into the port " + settings().name());
            }
            adapter = newAdapter;
            stalled = false;
        }
        addresses.clear();
        ownAddress = newAdapter.address().value();
        network.changed(this);
        notifyAdapter(NetworkAdapter::linkChanged);
    }

    @Override
    public void unplug() {
        boolean interrupted = false;
        synchronized (lock) {
            adapter = null;
            stalled = false;
            while ((deliverer != null && deliverer != Thread.currentThread()) || notifying > 0) {
                try {
                    lock.wait();
                } catch (InterruptedException e) {
                    interrupted = true;
                }
            }
            if (deliverer == null) {
                forgetQueue();
            }
        }
        ownAddress = -1;
        network.changed(this);
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    @Override
    public LinkState link() {
        PortSettings settings = settings();
        long speed = settings.bitsPerSecond() == 0 ? LinkState.DEFAULT_SPEED : settings.bitsPerSecond();
        return new LinkState(settings.enabled() && !closed, speed, settings.mtu());
    }

    @Override
    public int send(FrameBatch frames, int first) {
        Forwarder forwarder = spare.getAndSet(null);
        if (forwarder == null) {
            forwarder = new Forwarder(network, this);
        }
        int taken = forwarder.forward(frames, first);
        spare.set(forwarder);
        return taken;
    }

    @Override
    public PortStatistics statistics() {
        return counters.statistics();
    }

    @Override
    public void close() {
        synchronized (lock) {
            closed = true;
        }
        unplug();
        refill.cancel();
        network.removed(this);
    }

    /** The IP addresses that the station here was seen to use, as it says itself; IPv4 first. */
    public List<InetAddress> seen() {
        return addresses.all();
    }

    StationAddresses addresses() {
        return addresses;
    }

    PortPolicy policy() {
        return policy;
    }

    PortCounters counters() {
        return counters;
    }

    FrameTap[] taps() {
        return taps;
    }

    /** The address of the adapter that is plugged in, or -1. */
    long ownAddress() {
        return ownAddress;
    }

    boolean contains(int vlan) {
        return policy.settings.vlan().contains(vlan);
    }

    /** Calls the adapter when it may send again. */
    void wakeLater(long atNanos) {
        refill.arm(atNanos);
    }

    private void bandwidthAvailable() {
        notifyAdapter(NetworkAdapter::roomAvailable);
    }

    private void notifyAdapter(Consumer<NetworkAdapter> call) {
        NetworkAdapter to;
        synchronized (lock) {
            to = adapter;
            if (to == null) {
                return;
            }
            notifying++;
        }
        try {
            call.accept(to);
        } finally {
            synchronized (lock) {
                notifying--;
                lock.notifyAll();
            }
        }
    }

    /** Delivers all frames from {@code first} on, as they are: the fast way, without a copy if nobody is before them. */
    void deliver(FrameBatch frames, int first) {
        NetworkAdapter to;
        synchronized (lock) {
            to = adapter;
            if (to == null) {
                counters.receivedDropped(DropReason.LINK_DOWN, frames.size() - first);
                return;
            }
            if (deliverer != null || stalled) {
                enqueueAll(frames, first);
                return;
            }
            deliverer = Thread.currentThread();
            room = false;
        }
        boolean done = false;
        try {
            int next = first + take(to, frames, first);
            done = true;
            synchronized (lock) {
                if (next < frames.size()) {
                    enqueueAll(frames, next);
                    stalled = !room;
                }
                if (stalled || !waiting()) {
                    finish();
                    return;
                }
            }
        } finally {
            if (!done) {
                synchronized (lock) {
                    finish();
                }
            }
        }
        drain(to);
    }

    /** Calls the adapter and counts. */
    private int take(NetworkAdapter to, FrameBatch frames, int first) {
        int left = frames.size() - first;
        int taken = Math.clamp(to.receive(frames, first), 0, left);
        long bytes = 0;
        for (int i = first; i < first + taken; i++) {
            bytes += frames.length(i);
        }
        counters.received(taken, bytes);
        return taken;
    }

    private void finish() {
        deliverer = null;
        if (adapter == null) {
            forgetQueue();
        }
        lock.notifyAll();
    }

    private boolean waiting() {
        return (pending != null && pending.size() > 0) || (draining != null && drainAt < draining.size());
    }

    private void forgetQueue() {
        if (pending != null) {
            pending.clear();
        }
        if (draining != null) {
            draining.clear();
        }
        drainAt = 0;
    }

    private FrameBatch queue() {
        FrameBatch queue = pending;
        if (queue == null) {
            queue = new FrameBatch(QUEUE_FRAMES, QUEUE_BYTES);
            pending = queue;
        }
        return queue;
    }

    private void enqueueAll(FrameBatch frames, int first) {
        FrameBatch queue = queue();
        for (int i = first; i < frames.size(); i++) {
            if (!queue.append(frames, i)) {
                counters.receivedDropped(DropReason.RECEIVER_FULL, frames.size() - i);
                return;
            }
        }
    }

    /** Puts a copy of one frame into the queue, for {@link #flush} to deliver: what a mirror does. */
    void enqueue(FrameBatch frames, int frame, int vlan) {
        synchronized (lock) {
            if (adapter == null || !policy.settings.enabled()) {
                counters.receivedDropped(DropReason.LINK_DOWN, 1);
            } else if (append(queue(), frames, frame, 0, vlan) < 0) {
                counters.receivedDropped(DropReason.RECEIVER_FULL, 1);
            }
        }
    }

    /**
     * Puts copies of those frames into the queue that are for this port.
     *
     * @param force whether to drop what finds no room
     * @return the frame at which it stopped for want of room
     */
    int enqueue(Forwarder forwarder, FrameBatch frames, int first, int end, boolean force) {
        FrameTap[] watching = taps;
        synchronized (lock) {
            for (int i = first; i < end; i++) {
                if (!forwarder.isFor(i, this)) {
                    continue;
                }
                if (adapter == null) {
                    counters.receivedDropped(DropReason.LINK_DOWN, 1);
                    continue;
                }
                FrameBatch queue = queue();
                int vlan = forwarder.tagFor(i, policy);
                int at = append(queue, frames, i, forwarder.skipped(i), vlan);
                if (at < 0) {
                    if (!force) {
                        return i;
                    }
                    counters.receivedDropped(DropReason.RECEIVER_FULL, 1);
                    continue;
                }
                for (FrameTap tap : watching) {
                    tap.frame(queue, queue.size() - 1, false, vlan);
                }
            }
        }
        return end;
    }

    /** Appends a copy without the tag in its bytes, if {@code skip} is 4; returns its offset, or -1. */
    private static int append(FrameBatch queue, FrameBatch frames, int frame, int skip, int vlan) {
        int length = frames.length(frame) - skip;
        int at = queue.append(length);
        if (at >= 0) {
            MemorySegment from = frames.bytes();
            long offset = frames.offset(frame);
            int head = skip == 0 ? length : 12;
            MemorySegment.copy(from, JAVA_BYTE, offset, queue.bytes(), JAVA_BYTE, at, head);
            if (skip != 0) {
                MemorySegment.copy(
                        from, JAVA_BYTE, offset + head + skip, queue.bytes(), JAVA_BYTE, at + head, length - head);
            }
            queue.describe(queue.size() - 1, frames.flags(frame), frames.segmentSize(frame), vlan);
        }
        return at;
    }

    /** Delivers what waits, unless somebody else does or the adapter has no room; whether there is room for more now. */
    boolean flush() {
        NetworkAdapter to;
        synchronized (lock) {
            to = adapter;
            if (to == null || deliverer != null || stalled || !waiting()) {
                return pending == null || pending.size() == 0;
            }
            deliverer = Thread.currentThread();
        }
        drain(to);
        synchronized (lock) {
            return pending == null || pending.size() == 0;
        }
    }

    @Override
    public void roomAvailable() {
        NetworkAdapter to;
        synchronized (lock) {
            room = true;
            to = adapter;
            if (deliverer != null || !stalled || to == null) {
                return;
            }
            stalled = false;
            deliverer = Thread.currentThread();
        }
        drain(to);
    }

    /** Delivers the queue; this thread is the deliverer, and is no more on return. */
    private void drain(NetworkAdapter to) {
        boolean done = false;
        try {
            while (true) {
                FrameBatch batch;
                int at;
                synchronized (lock) {
                    if (!to.equals(adapter) || !waiting()) {
                        done = true;
                        finish();
                        return;
                    }
                    if (draining == null || drainAt == draining.size()) {
                        FrameBatch empty = draining;
                        draining = pending;
                        pending = empty;
                        drainAt = 0;
                        if (empty != null) {
                            empty.clear();
                        }
                    }
                    batch = Objects.requireNonNull(draining);
                    at = drainAt;
                    room = false;
                }
                int next = at + take(to, batch, at);
                synchronized (lock) {
                    drainAt = next;
                    if (next < batch.size() && !room) {
                        stalled = to.equals(adapter);
                        done = true;
                        finish();
                        return;
                    }
                }
            }
        } finally {
            if (!done) {
                synchronized (lock) {
                    finish();
                }
            }
        }
    }

    @Override
    public String toString() {
        return "port " + settings().name();
    }
}
