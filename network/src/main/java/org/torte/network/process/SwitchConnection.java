package org.torte.network.process;

import java.io.IOException;
import java.lang.foreign.Arena;
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
    private final Wakeup wakeup;
    private @Nullable Thread thread;
    private volatile @Nullable PortSession port;
    private volatile boolean closed;

    SwitchConnection(
            UnixSocket socket, HostSwitches switches, Supplier<Map<String, Object>> reload, Consumer<String> log)
            throws IOException {
        this.socket = socket;
        this.switches = switches;
        this.reload = reload;
        this.log = log;
        messages = new Messages(socket, LONGEST);
        wakeup = new Wakeup();
    }

    /** Begins; once. */
    void start(Runnable ended) {
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
        made.start();
    }

    private void run() {
        try (Arena arena = Arena.ofConfined()) {
            messages.say(Map.of("protocol", Messages.PROTOCOL, "version", Messages.VERSION));
            PollSet polls = new PollSet(arena, socket.fd(), wakeup.fd());
            while (!closed) {
                polls.await(-1);
                wakeup.clear();
                for (Messages.Said said = messages.hear(); said != null && !closed; said = messages.hear()) {
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
