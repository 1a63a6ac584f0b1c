package org.torte.worker.control;

import com.fasterxml.jackson.jr.ob.JSON;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.Channels;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Map;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.torte.worker.InputException;

/** The asking end of a control socket. For one thread. */
public final class ControlClient implements AutoCloseable {
    private final Path path;
    private final SocketChannel socket;
    private final BufferedReader input;
    private final OutputStream output;
    private long lastId;

    private ControlClient(Path path, SocketChannel socket) {
        this.path = path;
        this.socket = socket;
        input = new BufferedReader(new InputStreamReader(Channels.newInputStream(socket), StandardCharsets.UTF_8));
        output = Channels.newOutputStream(socket);
    }

    /**
     * Connects.
     *
     * @throws InputException when nobody listens there, or speaks something else
     */
    public static ControlClient connect(Path path) {
        SocketChannel socket = null;
        try {
            socket = SocketChannel.open(UnixDomainSocketAddress.of(path));
            ControlClient client = new ControlClient(path, socket);
            Map<String, Object> hello = client.receive();
            if (!"torte-control".equals(hello.get("protocol"))
                    || !Integer.valueOf(ControlSession.VERSION).equals(hello.get("version"))) {
                throw new InputException(path + " speaks another version of the control protocol (" + hello
                        + "); use the torte that started the machine");
            }
            socket = null;
            return client;
        } catch (IOException e) {
            throw new InputException("no machine listens on " + path + " (" + e.getMessage()
                    + "); start one with torte run --control " + path);
        } finally {
            if (socket != null) {
                try {
                    socket.close();
                } catch (IOException e) {
                    // The error that led here is the one to tell.
                    socket = null;
                }
            }
        }
    }

    /**
     * Asks and waits for the result.
     *
     * @param progress is told what the other end says meanwhile
     * @throws ControlException when the request fails
     * @throws InputException when the other end has gone
     */
    public Map<String, Object> ask(String method, Map<String, Object> parameters, Consumer<String> progress) {
        long id = ++lastId;
        try {
            send(JSON.std.asString(Map.of("id", id, "method", method, "params", parameters)));
            while (true) {
                Map<String, Object> line = receive();
                if (!(line.get("id") instanceof Number number) || number.longValue() != id) {
                    continue;
                }
                if (line.get("progress") instanceof String text) {
                    progress.accept(text);
                } else if (line.get("error") instanceof Map<?, ?> error) {
                    throw new ControlException(code(error.get("code")), String.valueOf(error.get("message")));
                } else if (line.get("result") instanceof Map<?, ?> result) {
                    return JSON.std.mapFrom(JSON.std.asString(result));
                }
            }
        } catch (IOException e) {
            throw new InputException("the machine on " + path + " has gone (" + e.getMessage() + ")");
        }
    }

    private static ControlException.Code code(@Nullable Object text) {
        for (ControlException.Code code : ControlException.Code.values()) {
            if (code.text().equals(text)) {
                return code;
            }
        }
        return ControlException.Code.INTERNAL;
    }

    /** Sends a line as it is. */
    public void send(String line) throws IOException {
        output.write((line + '\n').getBytes(StandardCharsets.UTF_8));
    }

    /** Waits for the next line. */
    public Map<String, Object> receive() throws IOException {
        String line = input.readLine();
        if (line == null) {
            throw new IOException("it has closed the connection");
        }
        return JSON.std.mapFrom(line);
    }

    @Override
    public void close() {
        try {
            socket.close();
        } catch (IOException e) {
            // It is gone either way.
            return;
        }
    }
}
