package org.torte.network.process;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;
import org.torte.base.net.FrameBatch;
import org.torte.base.net.LinkState;
import org.torte.base.net.MacAddress;
import org.torte.base.net.NetworkAdapter;
import org.torte.network.SwitchPort;
import org.torte.network.posix.Bell;
import org.torte.network.posix.PollSet;
import org.torte.network.posix.SharedMemory;
import org.torte.network.posix.UnixSocket;
import org.torte.network.posix.Wakeup;
import org.torte.network.ring.Ring;
import org.torte.network.ring.RingReader;
import org.torte.network.ring.RingWatch;
import org.torte.network.ring.RingWriter;

/**
 * A machine of another process at a port: what it writes into its ring goes to the port, what the port has for it into the
 * other ring. One thread runs it; others call what {@link NetworkAdapter} has, one at a time for {@link #receive}.
 */
final class PortSession implements NetworkAdapter, AutoCloseable {
    /** The bytes of the memory of a port. */
    static final long MEMORY = 2 * Ring.SIZE;

    private static final int FRAMES = 256, BYTES = 512 << 10;
    /** So many batches are moved between two looks at the connection, while there are always more. */
    private static final int BATCHES = 64;

    private static final LinkState DOWN = new LinkState(false, LinkState.DEFAULT_SPEED, LinkState.DEFAULT_MTU);

    private final String id;
    private final UnixSocket socket;
    private final Messages messages;
    private final SharedMemory memory;
    /** Wakes the machine's side, and by it this one. */
    private final Bell bell;
    /** What the machine's side has of the bell, until it is told. */
    private final Bell theirs;
    /** Wakes this side from within the process. */
    private final Wakeup wakeup;

    private final RingReader in;
    private final RingWatch watch = new RingWatch();
    private final RingWriter out;
    private final FrameBatch batch = new FrameBatch(FRAMES, BYTES);
    private int next;

    private volatile @Nullable SwitchPort port;
    private volatile MacAddress address = new MacAddress(0);
    private volatile boolean roomWanted;
    private volatile boolean linkIsNews = true;
    private volatile @Nullable String broken;
    private volatile boolean closed;
    private final AtomicLong dropped = new AtomicLong();

    private PortSession(
            String id, UnixSocket socket, Messages messages, Wakeup wakeup, SharedMemory memory, Bell.Pair bells) {
        this.id = id;
        this.socket = socket;
        this.messages = messages;
        this.wakeup = wakeup;
        this.memory = memory;
        bell = bells.one();
        theirs = bells.other();
        MemorySegment whole = memory.segment();
        in = new RingReader(whole.asSlice(0, Ring.SIZE));
        out = new RingWriter(whole.asSlice(Ring.SIZE, Ring.SIZE));
    }

    /**
     * With memory and a bell of its own; the socket and what wakes the thread that will {@link #run} stay the caller's.
     */
    static PortSession create(String id, UnixSocket socket, Messages messages, Wakeup wakeup) throws IOException {
        SharedMemory memory = SharedMemory.create("torte-port", MEMORY);
        boolean done = false;
        try {
            PortSession session = new PortSession(id, socket, messages, wakeup, memory, Bell.pair());
            done = true;
            return session;
        } finally {
            if (!done) {
                memory.close();
            }
        }
    }

    String id() {
        return id;
    }

    /** Frames that came while there was no port for them. */
    long dropped() {
        return dropped.get();
    }

    /** Why it has ended, if the machine's side has not kept to the rules. */
    @Nullable
    String broken() {
        return broken;
    }

    /** Tells the machine's side where everything is. */
    void introduce(long request) throws IOException {
        Map<String, Object> answer = new LinkedHashMap<>();
        answer.put("id", request);
        answer.put("result", Map.of());
        messages.say(answer, memory.fd(), theirs.fd());
        theirs.close(); // so that its end is noticed
    }

    /** It is at this port from now on, or, with null, at none. The caller sees to it that this is done once at a time. */
    void moveTo(@Nullable SwitchPort newPort, MacAddress newAddress) {
        SwitchPort old = port;
        if (old != null) {
            old.unplug();
        }
        address = newAddress;
        port = newPort;
        if (newPort != null) {
            newPort.plug(this);
        }
        linkChanged();
    }

    @Override
    public MacAddress address() {
        return address;
    }

    @Override
    public int receive(FrameBatch frames, int first) {
        int at = first;
        do {
            roomWanted = false;
            int written = broken == null ? out.write(frames, at) : -1;
            if (written < 0) {
                fail("it says that it has read what was not written");
                return frames.size() - first;
            }
            at += written;
            if (written > 0 && out.mustWake()) {
                bell.ring();
            }
            if (at == frames.size()) {
                return at - first;
            }
            roomWanted = true;
        } while (out.askForRoom());
        return at - first;
    }

    @Override
    public void linkChanged() {
        linkIsNews = true;
        wakeup.signal();
    }

    @Override
    public void roomAvailable() {
        wakeup.signal();
    }

    private void fail(String why) {
        if (broken == null) {
            broken = why;
            wakeup.signal();
        }
    }

    /** Moves frames until the other end goes, or this one is closed. */
    void run() {
        try (Arena arena = Arena.ofConfined()) {
            PollSet polls = new PollSet(arena, socket.fd(), bell.fd(), wakeup.fd());
            while (!closed && broken == null) {
                if (linkIsNews) {
                    linkIsNews = false;
                    tellLink();
                }
                boolean more = true;
                for (int i = 0; i < BATCHES && more; i++) {
                    more = pump();
                }
                polls.await(more ? 0 : -1);
                if (!more) {
                    watch.woken();
                }
                wakeup.clear();
                if (polls.has(1)) {
                    // Who has closed his end has gone, or is about to: a poll would always find something.
                    if (!bell.clear()) {
                        closed = true;
                    }
                    SwitchPort from = port;
                    if (roomWanted && from != null) {
                        roomWanted = false;
                        from.roomAvailable();
                    }
                }
                Messages.Said said = polls.has(0) ? messages.hear() : null;
                if (said != null) {
                    said.discard();
                    fail("it says something where nothing is to be said");
                }
            }
        } catch (IOException e) {
            // It has gone, which is how this ends.
            closed = true;
        }
    }

    private void tellLink() throws IOException {
        SwitchPort at = port;
        LinkState link = at == null ? DOWN : at.link();
        messages.say(Map.of("up", link.up(), "speed", link.bitsPerSecond(), "mtu", link.mtu()));
    }

    /** Moves some frames to the switch; false when somebody rings before there is more to do. */
    private boolean pump() {
        SwitchPort to = port;
        if (next == batch.size()) {
            batch.clear();
            next = 0;
            int got = in.read(batch);
            if (got < 0) {
                fail("what it writes is no frame");
                return false;
            }
            if (in.mustWake()) {
                bell.ring();
            }
            if (got == 0) {
                return (!roomWanted && watch.sees(in)) || in.askForFrames();
            }
        }
        if (to == null) {
            dropped.addAndGet(batch.size() - next);
            next = batch.size();
            return true;
        }
        next += to.send(batch, next);
        return next == batch.size();
    }

    /** Ends it, from any thread; {@link #run} returns soon. */
    @Override
    public void close() {
        closed = true;
        wakeup.signal();
    }

    /** Gives its memory back: it is at no port, and {@link #run} has returned. */
    void release() {
        if (port != null) {
            throw new IllegalStateException(Objects.requireNonNullElse(id, "") + " is at a port");
        }
        memory.close();
        bell.close();
        theirs.close();
    }
}
