package org.torte.network.process;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.torte.network.NetworkException;
import org.torte.network.posix.PollSet;
import org.torte.network.posix.UnixSocket;
import org.torte.network.posix.Wakeup;

/** Somebody who is connected to the switch process: he asks, until he becomes a port. Has a thread of its own. */
final class SwitchConnection implements AutoCloseable {
    /** The longest request, in bytes. */
    private static final int LONGEST = 64 << 10;

    private final UnixSocket socket;
    private final Messages messages;
    private final HostSwitches switches;
    private final Supplier<Map<String, Object>> reload;
    private final Consumer<String> log;
    private final Duration silence;
    private final Wakeup wakeup;
    private @Nullable Thread thread;
    private volatile @Nullable PortSession port;
    private volatile boolean closed;

    /**
     * Takes the socket over once it begins.
     *
     * @param silence how long he may say nothing before he is a port: others want his place
     */
    SwitchConnection(
            UnixSocket socket,
            HostSwitches switches,
            Supplier<Map<String, Object>> reload,
            Consumer<String> log,
            Duration silence)
            throws IOException {
        this.socket = socket;
        this.switches = switches;
        this.reload = reload;
        this.log = log;
        this.silence = silence;
        messages = new Messages(socket, LONGEST);
        wakeup = new Wakeup();
    }

    /**
     * Begins; once.
     *
     * @throws IOException when the host has no thread for it; then the socket is the caller's still
     */
    void start(Runnable ended) throws IOException {
        Thread made = Thread.ofPlatform().name("torte-switch-port").daemon().unstarted(() -> {
            try {
                run();
            } finally {
                socket.close();
                wakeup.close();
                ended.run();
            }
        });
        thread = made;
        try {
            made.start();
        } catch (OutOfMemoryError e) {
            thread = null;
            wakeup.close();
            throw new IOException("the host gives no thread for one more connection", e);
        }
    }

    private void run() {
        try (Arena arena = Arena.ofConfined()) {
            messages.say(Map.of("protocol", Messages.PROTOCOL, "version", Messages.VERSION));
            PollSet polls = new PollSet(arena, socket.fd(), wakeup.fd());
            long heard = System.nanoTime();
            while (!closed && System.nanoTime() - heard < silence.toNanos()) {
                polls.await((int) silence.toMillis());
                wakeup.clear();
                for (Messages.Said said = messages.hear(); said != null && !closed; said = messages.hear()) {
                    heard = System.nanoTime();
                    said.discard();
                    if (answer(said.text())) {
                        return;
                    }
                }
            }
        } catch (IOException | NetworkException e) {
            // He has gone, or says what nobody understands: either way that was all.
            closed = true;
        }
    }

    /** Answers a request; true when he was a port, and is gone now. */
    private boolean answer(String text) throws IOException {
        JsonFields request = JsonFields.parse(text, "a request");
        long id = request.number("id", 0);
        String method = request.string("method");
        Map<String, Object> answer = new LinkedHashMap<>();
        answer.put("id", id);
        try {
            switch (method) {
                case "connect" -> {
                    serve(request.string("port"), id);
                    return true;
                }
                case "reload" -> answer.put("result", reload.get());
                case "status" -> answer.put("result", switches.status());
                default -> answer.put("error", "there is no method " + method);
            }
        } catch (NetworkException e) {
            answer.put("error", String.valueOf(e.getMessage()));
        }
        messages.say(answer);
        return false;
    }

    private void serve(String id, long request) throws IOException {
        PortDefinition.checkId(id);
        PortSession session = PortSession.create(id, socket, messages, wakeup);
        port = session;
        try {
            session.introduce(request);
            if (closed) {
                return;
            }
            switches.connected(session);
            session.run();
        } finally {
            switches.gone(session);
            session.release();
            String broken = session.broken();
            if (broken != null) {
                log.accept("port " + id + ": its connection was ended: " + broken);
            }
        }
    }

    /** Ends it, soon. */
    @Override
    public void close() {
        closed = true;
        wakeup.signal();
        PortSession session = port;
        if (session != null) {
            session.close();
        }
    }

    void join() throws InterruptedException {
        Thread running = thread;
        if (running != null) {
            running.join();
        }
    }
}
