package org.torte.management.process;

import java.io.IOException;
import java.lang.System.Logger.Level;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.torte.management.definition.Json;
import org.torte.worker.InputException;
import org.torte.worker.control.ControlClient;

/** A connection with a worker that carries nothing but what its console says. Has a thread of its own. */
final class WorkerConsole implements Worker.Listening {
    private static final System.Logger LOG = System.getLogger(WorkerConsole.class.getName());

    private final Path control;
    private final Worker.ConsoleListener listener;
    private volatile @Nullable ControlClient client;
    private volatile boolean closed;
    /** So many bytes of those to come were said before anybody listened. */
    private int old;

    WorkerConsole(Path control, Worker.ConsoleListener listener) {
        this.control = control;
        this.listener = listener;
        Thread.ofVirtual().name("worker-console").start(this::hear);
    }

    private void hear() {
        try (ControlClient connected = ControlClient.connect(control)) {
            client = connected;
            connected.send(subscription(true));
            while (!closed) {
                take(connected, connected.receive());
            }
        } catch (IOException | InputException e) {
            // The worker has ended, or nobody listens any more.
            LOG.log(Level.DEBUG, "the console of {0} has ended", control);
        } catch (RuntimeException e) {
            LOG.log(Level.WARNING, "the worker at " + control + " says what it should not", e);
        } finally {
            listener.ended();
        }
    }

    private static String subscription(boolean scrollback) {
        List<String> events = List.of("console");
        return Json.text(Map.of(
                "id",
                scrollback ? 1 : 2,
                "method",
                "subscribe",
                "params",
                scrollback ? Map.of("events", events, "scrollback", true) : Map.of("events", events)));
    }

    private void take(ControlClient from, Map<String, Object> line) throws IOException {
        if (Integer.valueOf(1).equals(line.get("id"))) {
            if (line.get("result") instanceof Map<?, ?> result && result.get("scrollback") instanceof Integer length) {
                old = length;
            } else {
                // A worker that an older Torte has started remembers nothing.
                from.send(subscription(false));
            }
        } else if ("console".equals(line.get("event")) && line.get("data") instanceof Map<?, ?> data) {
            String bytes = String.valueOf(data.get("bytes"));
            int before = Math.min(old, bytes.length());
            old -= before;
            tell(bytes.substring(0, before), true);
            tell(bytes.substring(before), false);
        }
    }

    private void tell(String bytes, boolean before) {
        if (!bytes.isEmpty()) {
            listener.said(bytes.getBytes(StandardCharsets.ISO_8859_1), before);
        }
    }

    @Override
    public void close() {
        closed = true;
        Optional.ofNullable(client).ifPresent(ControlClient::close);
    }
}
