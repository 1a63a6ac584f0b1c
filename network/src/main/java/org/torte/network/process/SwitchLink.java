package org.torte.network.process;

import java.io.IOException;
import java.lang.System.Logger.Level;
import java.lang.foreign.Arena;
import java.net.ConnectException;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;
import org.torte.base.net.FrameBatch;
import org.torte.base.net.LinkState;
import org.torte.base.net.NetworkAdapter;
import org.torte.base.net.NetworkPort;
import org.torte.base.net.PortStatistics;
import org.torte.network.NetworkException;
import org.torte.network.PluggedAdapter;
import org.torte.network.posix.PollSet;
import org.torte.network.posix.Wakeup;
import org.torte.network.ring.RingWatch;

/**
 * A port of a switch in the switch process. Safe for several threads; has one of its own, {@code torte-switch-link}, which
 * reads. Frames are written into the ring by those who send them.
 *
 * <p>When that process goes, whoever is plugged in is not told for {@link #PATIENCE}: frames are lost meanwhile, as they are
 * on any network, and connections outlive that. The link looks for the process again and again, and starts it if it can.
 */
public final class SwitchLink implements NetworkPort {
    /** How long the link stays up without the process. */
    public static final Duration PATIENCE = Duration.ofSeconds(10);

    private static final System.Logger LOG = System.getLogger(SwitchLink.class.getName());
    private static final int RETRY_MILLIS = 100;

    /** After a connection that has not lasted longer than this the next one waits. */
    private static final Duration SHORT = Duration.ofSeconds(1);

    /** How long to wait after a start of the process that failed, the first time and at most. */
    private static final Duration FIRST_WAIT = Duration.ofSeconds(1), LONGEST_WAIT = Duration.ofSeconds(60);

    private static final int FRAMES = 256, BYTES = 512 << 10;
    private static final int BATCHES = 64;

    private final SwitchStarter starter;
    private final String id;
    private final Wakeup wakeup;
    private final Thread thread;
    private volatile LinkState link = new LinkState(false, LinkState.DEFAULT_SPEED, LinkState.DEFAULT_MTU);
    private volatile boolean closed;

    private final PluggedAdapter adapter = new PluggedAdapter();

    /** Guards the connection's writing half and its end, and what is counted there. */
    private final ReentrantLock sending = new ReentrantLock();

    private @Nullable PortConnection connection;
    private volatile boolean roomWanted;
    private long framesSent;
    private long bytesSent;
    private long sentDropped;

    // ---- for the thread

    private final FrameBatch batch = new FrameBatch(FRAMES, BYTES);
    private int given;
    private final RingWatch watch = new RingWatch();
    private final AtomicBoolean starting = new AtomicBoolean();
    /** Changed by whoever has set {@link #starting}. */
    private volatile Duration startWait = FIRST_WAIT;

    /** Whether it was said why there is no connection, although somebody listens. */
    private boolean told;

    private volatile boolean roomAgain;

    private SwitchLink(SwitchStarter starter, String id) throws IOException {
        this.starter = starter;
        this.id = id;
        wakeup = new Wakeup();
        thread = Thread.ofPlatform().name("torte-switch-link").daemon().unstarted(this::run);
    }

    /**
     * Begins to look for the switch process; the link is up when it is found and has the port.
     *
     * @param starter where it is, and what starts it
     * @param id of the port, in the configuration of the process
     */
    public static SwitchLink open(SwitchStarter starter, String id) {
        try {
            SwitchLink made = new SwitchLink(starter, id);
            made.thread.start();
            return made;
        } catch (IOException e) {
            throw new NetworkException("no link to a switch: " + e.getMessage(), e);
        }
    }

    // ---- for the adapter

    @Override
    public void plug(NetworkAdapter newAdapter) {
        adapter.plug(newAdapter);
    }

    @Override
    public void unplug() {
        adapter.unplug();
    }

    @Override
    public LinkState link() {
        return link;
    }

    @Override
    public int send(FrameBatch frames, int first) {
        sending.lock();
        try {
            PortConnection to = connection;
            if (to == null || !link.up()) {
                sentDropped += frames.size() - first;
                return frames.size() - first;
            }
            int at = first;
            do {
                roomWanted = false;
                int written = to.out.write(frames, at);
                if (written < 0) {
                    to.broken = true;
                    wakeup.signal();
                    sentDropped += frames.size() - at;
                    return frames.size() - first;
                }
                for (int i = at; i < at + written; i++) {
                    bytesSent += frames.length(i);
                }
                framesSent += written;
                at += written;
                if (written > 0 && to.out.mustWake()) {
                    to.bell.ring();
                }
                if (at == frames.size()) {
                    return at - first;
                }
                roomWanted = true;
            } while (to.out.askForRoom());
            return at - first;
        } finally {
            sending.unlock();
        }
    }

    @Override
    public void roomAvailable() {
        roomAgain = true;
        wakeup.signal();
    }

    @Override
    public PortStatistics statistics() {
        sending.lock();
        try {
            return new PortStatistics(
                    framesSent, bytesSent, adapter.frames(), adapter.bytes(), sentDropped, adapter.dropped());
        } finally {
            sending.unlock();
        }
    }

    @Override
    public void close() {
        unplug();
        closed = true;
        wakeup.signal();
        try {
            thread.join();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return;
        }
        wakeup.close();
    }

    // ---- the thread

    private void run() {
        // Without a link at first there is nothing to be patient for.
        long lost = System.nanoTime() - PATIENCE.toNanos();
        try (Arena arena = Arena.ofConfined()) {
            PollSet pause = new PollSet(arena, wakeup.fd());
            while (!closed) {
                PortConnection made = connect();
                if (made != null) {
                    long began = System.nanoTime();
                    told = false;
                    converse(made);
                    lost = System.nanoTime();
                    if (lost - began >= SHORT.toNanos()) {
                        continue;
                    }
                    // Somebody else may want the same port: not at full speed.
                }
                if (link.up() && System.nanoTime() - lost >= PATIENCE.toNanos()) {
                    link = link.withUp(false);
                    adapter.tell(NetworkAdapter::linkChanged);
                }
                pause.await(RETRY_MILLIS);
                wakeup.clear();
            }
        }
    }

    private @Nullable PortConnection connect() {
        try {
            return PortConnection.open(SwitchServer.socket(starter.folder()), id, () -> closed);
        } catch (ConnectException e) {
            LOG.log(Level.DEBUG, "no switch process", e);
            startProcess();
        } catch (IOException e) {
            LOG.log(told ? Level.DEBUG : Level.WARNING, "port " + id + ": " + e.getMessage());
            told = true;
        }
        return null;
    }

    /** On a thread of its own: who closes this link does not wait for it. */
    private void startProcess() {
        if (!starter.command().isEmpty() && starting.compareAndSet(false, true)) {
            Thread _ = Thread.ofVirtual().name("torte-switch-start").start(() -> {
                try {
                    starter.start();
                    startWait = FIRST_WAIT;
                } catch (NetworkException e) {
                    LOG.log(startWait.equals(FIRST_WAIT) ? Level.WARNING : Level.DEBUG, e.getMessage());
                    rest();
                } finally {
                    starting.set(false);
                }
            });
        }
    }

    /** After a start that failed: the next try comes later each time. */
    private void rest() {
        long end = System.nanoTime() + startWait.toNanos();
        startWait = startWait.multipliedBy(2);
        if (startWait.compareTo(LONGEST_WAIT) > 0) {
            startWait = LONGEST_WAIT;
        }
        while (!closed && end - System.nanoTime() > 0) {
            LockSupport.parkNanos(RETRY_MILLIS * 1_000_000L);
        }
    }

    /** Moves frames until the connection ends. */
    private void converse(PortConnection with) {
        sending.lock();
        try {
            connection = with;
        } finally {
            sending.unlock();
        }
        adapter.tell(NetworkAdapter::roomAvailable);
        try (Arena arena = Arena.ofConfined()) {
            PollSet polls = new PollSet(arena, wakeup.fd(), with.bell.fd(), with.socket.fd());
            while (!closed && !with.broken) {
                boolean more = true;
                for (int i = 0; i < BATCHES && more; i++) {
                    more = pump(with);
                }
                polls.await(more ? 0 : -1);
                if (!more) {
                    watch.woken();
                }
                wakeup.clear();
                if (polls.has(1)) {
                    with.broken |= !with.bell.clear();
                    if (roomWanted) {
                        roomWanted = false;
                        adapter.tell(NetworkAdapter::roomAvailable);
                    }
                }
                if (polls.has(2)) {
                    hear(with);
                }
            }
        } catch (IOException e) {
            LOG.log(Level.DEBUG, "the switch process has gone", e);
        } finally {
            sending.lock();
            try {
                connection = null;
            } finally {
                sending.unlock();
            }
            with.close();
        }
        // Who waits for room has none to wait for any more: what is sent now is lost.
        adapter.tell(NetworkAdapter::roomAvailable);
    }

    private void hear(PortConnection from) throws IOException {
        for (Messages.Said said = from.messages.hear(); said != null; said = from.messages.hear()) {
            said.discard();
            LinkState now;
            try {
                JsonFields fields = JsonFields.parse(said.text(), "what the switch process says");
                now = new LinkState(
                        fields.flag("up"),
                        fields.number("speed", LinkState.DEFAULT_SPEED),
                        Math.toIntExact(fields.number("mtu", LinkState.DEFAULT_MTU)));
            } catch (NetworkException | IllegalArgumentException | ArithmeticException e) {
                throw new IOException("the switch process says what it should not", e);
            }
            if (!now.equals(link)) {
                link = now;
                adapter.tell(NetworkAdapter::linkChanged);
            }
        }
    }

    /** Gives some frames to the adapter; false when somebody wakes this thread before there is more to do. */
    private boolean pump(PortConnection from) {
        if (given == batch.size()) {
            batch.clear();
            given = 0;
            int got = from.in.read(batch);
            if (got < 0) {
                from.broken = true;
                return false;
            }
            if (from.in.mustWake()) {
                from.bell.ring();
            }
            if (got == 0) {
                return (!roomWanted && watch.sees(from.in)) || from.in.askForFrames();
            }
        }
        roomAgain = false;
        given += adapter.give(batch, given);
        return given == batch.size() || roomAgain;
    }

    @Override
    public String toString() {
        return "port " + id + ", " + Map.of("link", link);
    }
}
