package org.torte.worker.control;

import com.fasterxml.jackson.jr.ob.JSON;
import com.fasterxml.jackson.jr.ob.JSONObjectException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.channels.Channels;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Semaphore;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;
import java.util.function.IntConsumer;
import org.jspecify.annotations.Nullable;
import org.torte.machine.integration.Backup;
import org.torte.machine.integration.Heartbeat;
import org.torte.machine.integration.IntegrationListener;
import org.torte.worker.VirtualMachine;

/** One client: a thread that reads its requests, a thread that writes, and a thread for each request under way. */
final class ControlSession {
    /** The version of the protocol. */
    static final int VERSION = 1;

    /** The longest line of a client, in bytes. */
    static final int MAX_LINE = 64 << 10;

    /** The most requests of a client under way. */
    static final int MAX_REQUESTS = 16;

    /** The most events, and the most bytes of console output, that are kept for a client that does not read. */
    static final int MAX_EVENTS = 256, MAX_CONSOLE = 256 << 10;

    /** The most lines, events apart, that wait for the client to read them. */
    static final int MAX_LINES = 4 * MAX_REQUESTS;

    private static final int CONSOLE_PART = 16 << 10;

    /** What a client can hear of. */
    enum Topic {
        STATE,
        HEARTBEAT,
        BACKUP,
        CONSOLE;

        String text() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    private final SocketChannel socket;
    private final VirtualMachine machine;
    private final ControlCommands commands;
    private final Consumer<ControlSession> ended;
    private final Semaphore requests = new Semaphore(MAX_REQUESTS);
    private final Consumer<VirtualMachine.State> states = this::state;
    private final IntegrationListener services = new Services();
    private final IntConsumer console = this::consoleByte;
    private final Thread writer = Thread.ofVirtual().name("torte-control-write").unstarted(this::write);

    /** Guards what follows. */
    private final ReentrantLock lock = new ReentrantLock();

    private final Condition changed = lock.newCondition();
    private final Map<Object, Asker> underWay = new HashMap<>();
    private final Set<Topic> topics = EnumSet.noneOf(Topic.class);
    private final ArrayDeque<Object> lines = new ArrayDeque<>();
    private int events;
    private long lost;
    private final StringBuilder output = new StringBuilder();
    private long outputLost;
    private boolean finishing;
    private boolean closed;
    private VirtualMachine.@Nullable State lastState;

    ControlSession(
            SocketChannel socket, VirtualMachine machine, ControlCommands commands, Consumer<ControlSession> ended) {
        this.socket = socket;
        this.machine = machine;
        this.commands = commands;
        this.ended = ended;
    }

    void start() {
        send(Map.of("protocol", "torte-control", "version", VERSION));
        machine.listen(states);
        machine.integration().listen(services);
        machine.console().listen(console);
        writer.start();
        Thread _ = Thread.ofVirtual().name("torte-control-read").start(this::read);
    }

    /** Writes what is left, then closes. */
    void finish() {
        if (machine.state() == VirtualMachine.State.ENDED) {
            state(VirtualMachine.State.ENDED);
        }
        lock.lock();
        try {
            finishing = true;
            changed.signalAll();
        } finally {
            lock.unlock();
        }
    }

    /** Waits until all is written and the client let go of, or it takes too long. */
    void awaitEnd(Duration limit) {
        try {
            boolean _ = writer.join(limit);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private void state(VirtualMachine.State state) {
        lock.lock();
        try {
            if (state != lastState) {
                lastState = state;
                event(Topic.STATE, Map.of("state", text(state)));
            }
        } finally {
            lock.unlock();
        }
    }

    private void close() {
        lock.lock();
        try {
            if (closed) {
                return;
            }
            closed = true;
            changed.signalAll();
        } finally {
            lock.unlock();
        }
        machine.unlisten(states);
        machine.integration().unlisten(services);
        machine.console().unlisten(console);
        ended.accept(this);
        try {
            socket.close();
        } catch (IOException e) {
            // It is gone either way.
            return;
        }
    }

    // ---- reading

    private void read() {
        try {
            readLines(Channels.newInputStream(socket));
            finish();
        } catch (IOException e) {
            // The client has gone.
            close();
        }
    }

    /** Until the client ends its side, or sends a line that is too long. The socket stays open for what is to be written. */
    private void readLines(InputStream input) throws IOException {
        byte[] line = new byte[MAX_LINE];
        byte[] part = new byte[8192];
        int length = 0;
        for (int count = input.read(part); count >= 0; count = input.read(part)) {
            for (int i = 0; i < count; i++) {
                if (part[i] == '\n') {
                    request(new String(line, 0, length, StandardCharsets.UTF_8));
                    length = 0;
                } else if (length == MAX_LINE) {
                    fail(null, ControlParameters.bad("a line has at most " + MAX_LINE + " bytes"));
                    return;
                } else {
                    line[length++] = part[i];
                }
            }
        }
    }

    private void request(String line) {
        if (line.isBlank()) {
            return;
        }
        Object id = null;
        try {
            Map<String, Object> request = parse(line);
            id = request.get("id");
            if (!(id instanceof String || id instanceof Integer || id instanceof Long)) {
                id = null;
                throw ControlParameters.bad("a request has an \"id\", a string or a whole number");
            }
            if (!(request.get("method") instanceof String method)) {
                throw ControlParameters.bad("a request has a \"method\", a string");
            }
            begin(id, method, parameters(request.get("params")));
        } catch (ControlException e) {
            fail(id, e);
        }
    }

    private static Map<String, Object> parse(String line) {
        try {
            if (JSON.std.anyFrom(line) instanceof Map<?, ?> map) {
                return strings(map);
            }
        } catch (IOException e) {
            String reason = e instanceof JSONObjectException ? "it has values that cannot be" : "it is no JSON";
            throw ControlParameters.bad("a request is one JSON object on one line, and " + reason);
        }
        throw ControlParameters.bad("a request is one JSON object on one line");
    }

    private static Map<String, Object> parameters(@Nullable Object value) {
        if (value == null) {
            return Map.of();
        }
        if (value instanceof Map<?, ?> map) {
            return strings(map);
        }
        throw ControlParameters.bad("\"params\" is an object");
    }

    private static Map<String, Object> strings(Map<?, ?> map) {
        Map<String, Object> result = new LinkedHashMap<>();
        map.forEach((key, value) -> {
            if (value != null) {
                result.put(String.valueOf(key), value);
            }
        });
        return result;
    }

    private void begin(Object id, String method, Map<String, Object> parameters) {
        if (method.equals("subscribe")) {
            subscribe(id, parameters);
            return;
        }
        if (method.equals("cancel")) {
            cancel(id, parameters);
            return;
        }
        if (!requests.tryAcquire()) {
            throw new ControlException(
                    ControlException.Code.BUSY, "there are " + MAX_REQUESTS + " requests under way already");
        }
        Asker asker = new Asker(id);
        lock.lock();
        try {
            underWay.put(id, asker);
        } finally {
            lock.unlock();
        }
        Thread _ = Thread.ofVirtual().name("torte-control-request").start(() -> {
            try {
                answer(id, commands.execute(method, parameters, asker));
            } catch (ControlException e) {
                fail(id, e);
            } catch (RuntimeException | Error e) {
                System.getLogger(ControlSession.class.getName())
                        .log(System.Logger.Level.ERROR, "the request " + method + " failed", e);
                fail(id, new ControlException(ControlException.Code.INTERNAL, "an error of Torte's own: " + e));
            } finally {
                requests.release();
                ended(asker);
            }
        });
    }

    private void ended(Asker asker) {
        lock.lock();
        try {
            boolean _ = underWay.remove(asker.id, asker);
            changed.signalAll();
        } finally {
            lock.unlock();
        }
    }

    /** Here and not on a thread of its own, so that it is not before the request that it is about. */
    private void cancel(Object id, Map<String, Object> parameters) {
        new ControlParameters(parameters).allow("request");
        Object request = parameters.get("request");
        lock.lock();
        try {
            Asker asker = request == null ? null : underWay.get(request);
            if (asker == null) {
                throw new ControlException(
                        ControlException.Code.WRONG_STATE, "no request of this client with that id is under way");
            }
            asker.cancelled = true;
        } finally {
            lock.unlock();
        }
        answer(id, Map.of());
    }

    /** This client, as long as what it is told can be written to it. */
    private final class Asker implements ControlCommands.Asker {
        private final Object id;
        private volatile boolean cancelled;

        Asker(Object id) {
            this.id = id;
        }

        @Override
        public void accept(String text) {
            send(Map.of("id", id, "progress", text));
        }

        @Override
        public boolean cancelled() {
            return cancelled;
        }

        @Override
        public boolean gone() {
            lock.lock();
            try {
                return closed;
            } finally {
                lock.unlock();
            }
        }
    }

    private void subscribe(Object id, Map<String, Object> parameters) {
        ControlParameters given = new ControlParameters(parameters);
        given.allow("events", "scrollback");
        Set<Topic> wanted = EnumSet.noneOf(Topic.class);
        if (!(parameters.get("events") instanceof List<?> names)) {
            throw ControlParameters.bad("\"events\" is a list of state, heartbeat, backup and console");
        }
        for (Object name : names) {
            wanted.add(java.util.Arrays.stream(Topic.values())
                    .filter(topic -> topic.text().equals(name))
                    .findFirst()
                    .orElseThrow(() ->
                            ControlParameters.bad("events are state, heartbeat, backup and console, not " + name)));
        }
        List<String> named = wanted.stream().map(Topic::text).toList();
        if (!given.flag("scrollback")) {
            subscribe(wanted);
            answer(id, Map.of("events", named));
            return;
        }
        if (!wanted.contains(Topic.CONSOLE)) {
            throw ControlParameters.bad("scrollback is of the console, which is not among the events");
        }
        machine.console().recall(last -> {
            lock.lock();
            try {
                subscribe(wanted);
                // Whoever subscribes again has what it has not read yet, once.
                output.setLength(0);
                output.append(new String(last, StandardCharsets.ISO_8859_1));
                answer(id, Map.of("events", named, "scrollback", last.length));
            } finally {
                lock.unlock();
            }
        });
    }

    private void subscribe(Set<Topic> wanted) {
        lock.lock();
        try {
            topics.clear();
            topics.addAll(wanted);
        } finally {
            lock.unlock();
        }
    }

    // ---- writing

    private void answer(Object id, Map<String, Object> result) {
        send(Map.of("id", id, "result", result));
    }

    private void fail(@Nullable Object id, ControlException e) {
        Map<String, Object> line = new LinkedHashMap<>();
        if (id != null) {
            line.put("id", id);
        }
        line.put("error", Map.of("code", e.code().text(), "message", String.valueOf(e.getMessage())));
        send(line);
    }

    /** A client that sends requests without reading answers is dropped here. */
    private void send(Object line) {
        boolean tooMany;
        lock.lock();
        try {
            lines.add(line);
            changed.signalAll();
            tooMany = lines.size() > MAX_EVENTS + MAX_LINES;
        } finally {
            lock.unlock();
        }
        if (tooMany) {
            close();
        }
    }

    private void event(Topic topic, Map<String, Object> data) {
        lock.lock();
        try {
            if (!topics.contains(topic)) {
                return;
            }
            if (events >= MAX_EVENTS) {
                lost++;
                return;
            }
            events++;
            Map<String, Object> line = new LinkedHashMap<>();
            line.put("event", topic.text());
            line.put("data", data);
            if (lost > 0) {
                line.put("lost", lost);
                lost = 0;
            }
            lines.add(line);
            changed.signalAll();
        } finally {
            lock.unlock();
        }
    }

    private void consoleByte(int value) {
        lock.lock();
        try {
            if (!topics.contains(Topic.CONSOLE)) {
                return;
            }
            if (output.length() >= MAX_CONSOLE) {
                outputLost++;
                return;
            }
            output.append((char) (value & 0xff));
            if (output.length() == 1) {
                changed.signalAll();
            }
        } finally {
            lock.unlock();
        }
    }

    private void write() {
        try (OutputStream stream = Channels.newOutputStream(socket)) {
            for (Object line = next(); line != null; line = next()) {
                stream.write((JSON.std.asString(line) + '\n').getBytes(StandardCharsets.UTF_8));
            }
        } catch (IOException e) {
            // The client has gone.
            close();
        }
        close();
    }

    /** Waits for the next line; null when there will be none. Console output is one byte a character, U+0000 to U+00FF. */
    private @Nullable Object next() {
        lock.lock();
        try {
            while (lines.isEmpty() && output.isEmpty()) {
                if (closed || finishing && requests.availablePermits() == MAX_REQUESTS) {
                    return null;
                }
                changed.awaitUninterruptibly();
            }
            Object line = lines.poll();
            if (line instanceof Map<?, ?> map && map.containsKey("event")) {
                events--;
            }
            if (line != null) {
                return line;
            }
            String text = output.substring(0, Math.min(output.length(), CONSOLE_PART));
            output.delete(0, text.length());
            Map<String, Object> event = new LinkedHashMap<>();
            event.put("event", Topic.CONSOLE.text());
            event.put("data", Map.of("bytes", text));
            if (outputLost > 0) {
                event.put("lost", outputLost);
                outputLost = 0;
            }
            return event;
        } finally {
            lock.unlock();
        }
    }

    private static String text(Enum<?> value) {
        return value.name().toLowerCase(Locale.ROOT).replace('_', '-');
    }

    private final class Services implements IntegrationListener {
        @Override
        public void heartbeat(Heartbeat.State state) {
            event(Topic.HEARTBEAT, Map.of("state", text(state)));
        }

        @Override
        public void backup(Backup.State state) {
            event(Topic.BACKUP, Map.of("file-systems", text(state)));
        }
    }
}
