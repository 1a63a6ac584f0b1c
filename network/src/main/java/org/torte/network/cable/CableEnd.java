package org.torte.network.cable;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Path;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;
import org.torte.base.net.FrameBatch;
import org.torte.base.net.LinkState;
import org.torte.base.net.NetworkAdapter;
import org.torte.base.net.NetworkPort;
import org.torte.base.net.PortStatistics;
import org.torte.network.PluggedAdapter;

/**
 * One end of a cable between two machines on one host. Who comes first listens on a Unix-domain socket, the second one
 * connects; when one goes away the other waits for the next. The link is up while both are there. A third one has to wait.
 * Safe for several threads; has one of its own, {@code torte-cable}, which reads. Frames are written by those who send them.
 *
 * <p>When the other end does not read, the socket and then a buffer here fill up, and the adapter has to wait.
 */
public final class CableEnd implements NetworkPort {
    private static final int BUFFER = 512 << 10, FRAMES = 256;
    private static final int RETRY_MILLIS = 200;
    private static final int VLAN_TAG = 4;

    private final Meeting meeting;
    private final int mtu;
    private final Selector selector;
    private final Thread thread;
    private volatile LinkState link;
    private volatile boolean closed;

    private final PluggedAdapter adapter = new PluggedAdapter();

    /** Guards what follows. */
    private final ReentrantLock sending = new ReentrantLock();

    private final ByteBuffer out = ByteBuffer.allocateDirect(BUFFER);
    private @Nullable SocketChannel peer;
    /** The adapter waits for room. */
    private boolean waiting;
    /** There is something to write when the socket takes it. */
    private volatile boolean unwritten;

    private long framesSent;
    private long bytesSent;
    private long sentDropped;

    // ---- for the thread

    private final ByteBuffer in = ByteBuffer.allocateDirect(BUFFER);
    private final FrameBatch batch = new FrameBatch(FRAMES, BUFFER);
    private int given;
    private boolean greeted;
    /** The adapter has taken fewer frames than there are. */
    private boolean stalled;

    private volatile boolean roomAgain;

    private CableEnd(Path path, int mtu) throws IOException {
        meeting = new Meeting(path);
        this.mtu = mtu;
        link = new LinkState(false, LinkState.DEFAULT_SPEED, mtu);
        selector = Selector.open();
        thread = Thread.ofPlatform().name("torte-cable").daemon().unstarted(this::run);
    }

    /**
     * Lays a cable, or takes the other end of one.
     *
     * @param path where both ends meet; a lock file beside it stays there
     * @param mtu what this end takes, 576 to 65535; the link has the smaller one of both ends
     * @throws CableException when the path cannot be used
     */
    public static CableEnd open(Path path, int mtu) {
        try {
            CableEnd end = new CableEnd(path, mtu);
            try {
                end.meet();
            } catch (IOException e) {
                end.selector.close();
                end.meeting.close();
                throw e;
            }
            end.thread.start();
            return end;
        } catch (IOException e) {
            throw new CableException("no cable can be laid at " + path + " (" + e.getMessage()
                    + "); give a path where this user may make files");
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
            LinkState current = link;
            if (peer == null || !current.up()) {
                sentDropped += frames.size() - first;
                return frames.size() - first;
            }
            int longest = FrameBatch.ETHERNET_HEADER + VLAN_TAG + current.mtu();
            int frame = first;
            for (; frame < frames.size(); frame++) {
                int length = frames.length(frame);
                if (length < FrameBatch.ETHERNET_HEADER || length > longest && frames.segmentSize(frame) == 0) {
                    sentDropped++;
                    continue;
                }
                if (out.remaining() < CableFormat.HEADER + length) {
                    write();
                    if (out.remaining() < CableFormat.HEADER + length) {
                        waiting = true;
                        break;
                    }
                }
                CableFormat.put(out, frames, frame);
                framesSent++;
                bytesSent += length;
            }
            write();
            return frame - first;
        } finally {
            sending.unlock();
        }
    }

    @Override
    public void roomAvailable() {
        roomAgain = true;
        selector.wakeup();
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
        selector.wakeup();
        boolean interrupted = false;
        while (thread.isAlive()) {
            try {
                thread.join();
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    // ---- sending

    /** Writes what the socket takes. The caller holds {@link #sending}. */
    private void write() {
        SocketChannel to = peer;
        if (to == null) {
            return;
        }
        out.flip();
        try {
            to.write(out);
        } catch (IOException e) {
            // The other end is gone, which the thread notices as it reads.
            out.position(out.limit());
        }
        out.compact();
        if (out.position() > 0) {
            unwritten = true;
            if (Thread.currentThread() != thread) {
                selector.wakeup();
            }
        }
    }

    private void writeOn() {
        boolean room;
        sending.lock();
        try {
            unwritten = false;
            write();
            room = waiting && out.remaining() >= CableFormat.LONGEST;
            if (room) {
                waiting = false;
            }
        } finally {
            sending.unlock();
        }
        if (room) {
            adapter.tell(NetworkAdapter::roomAvailable);
        }
    }

    // ---- the thread

    private void run() {
        try {
            while (!closed) {
                turn();
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } finally {
            end();
        }
    }

    private void turn() throws IOException {
        SocketChannel current = peer;
        SelectionKey key = current == null ? null : current.keyFor(selector);
        if (key != null && key.isValid()) {
            key.interestOps((stalled ? 0 : SelectionKey.OP_READ) | (unwritten ? SelectionKey.OP_WRITE : 0));
        }
        boolean alone = current == null && !meeting.listens();
        selector.select(this::ready, alone ? RETRY_MILLIS : 0);
        if (roomAgain) {
            roomAgain = false;
            if (stalled) {
                stalled = false;
                if (!process()) {
                    part();
                }
            }
        }
        if (alone && !closed) {
            try {
                meet();
            } catch (IOException e) {
                stalled = false; // the path cannot be used now; the next turn tries again
            }
        }
    }

    /** Listens, or connects to who does; when neither is possible now there is another try later. */
    private void meet() throws IOException {
        ServerSocketChannel listener = meeting.listen();
        if (listener != null) {
            listener.register(selector, SelectionKey.OP_ACCEPT);
            return;
        }
        SocketChannel made;
        try {
            made = meeting.connect();
        } catch (IOException e) {
            return; // who holds the lock does not listen yet, or not any more
        }
        begin(made);
    }

    private void begin(SocketChannel made) throws IOException {
        made.configureBlocking(false);
        sending.lock();
        try {
            out.clear();
            CableFormat.putGreeting(out, mtu);
            peer = made;
            write();
        } finally {
            sending.unlock();
        }
        made.register(selector, SelectionKey.OP_READ);
    }

    private void ready(SelectionKey key) {
        try {
            if (!key.isValid()) {
                return;
            }
            if (key.channel() instanceof ServerSocketChannel listener) {
                accept(listener);
                return;
            }
            if (key.isWritable()) {
                writeOn();
            }
            if (key.isReadable() && !read()) {
                part();
            }
        } catch (IOException e) {
            part();
        }
    }

    private void accept(ServerSocketChannel listener) throws IOException {
        SocketChannel made = listener.accept();
        if (made == null) {
            return;
        }
        if (peer == null) {
            begin(made);
        } else {
            made.close();
        }
    }

    /** Reads what has come; false when the other end is gone or talks nonsense. */
    private boolean read() throws IOException {
        SocketChannel from = peer;
        return from != null && from.read(in) >= 0 && process();
    }

    private boolean process() {
        in.flip();
        try {
            if (!greeted) {
                if (in.remaining() < CableFormat.GREETING) {
                    return true;
                }
                int theirs = CableFormat.greeting(in);
                if (theirs < 0) {
                    return false;
                }
                greeted = true;
                link = new LinkState(true, LinkState.DEFAULT_SPEED, Math.min(mtu, theirs));
                adapter.tell(NetworkAdapter::linkChanged);
            }
            return takeFrames();
        } finally {
            in.compact();
        }
    }

    private boolean takeFrames() {
        CableFormat.Found found;
        do {
            if (given == batch.size()) {
                batch.clear();
                given = 0;
            }
            do {
                found = CableFormat.take(in, batch);
            } while (found == CableFormat.Found.FRAME);
            give();
            stalled = given < batch.size();
            if (found == CableFormat.Found.NONSENSE) {
                return false;
            }
        } while (found == CableFormat.Found.NO_ROOM && !stalled);
        return true;
    }

    private void give() {
        if (given < batch.size()) {
            given += adapter.give(batch, given);
        }
    }

    /** The other end is gone, or to be gone. */
    private void part() {
        SocketChannel old;
        sending.lock();
        try {
            old = peer;
            peer = null;
            link = link.withUp(false);
            out.clear();
            unwritten = false;
            waiting = false;
        } finally {
            sending.unlock();
        }
        in.clear();
        batch.clear();
        given = 0;
        greeted = false;
        stalled = false;
        if (old != null) {
            try {
                old.close();
            } catch (IOException e) {
                // There is nobody left whom that concerns.
                old = null;
            }
        }
        adapter.tell(NetworkAdapter::linkChanged);
        adapter.tell(NetworkAdapter::roomAvailable);
    }

    private void end() {
        part();
        try {
            meeting.close();
            selector.close();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
