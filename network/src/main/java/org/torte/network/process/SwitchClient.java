package org.torte.network.process;

import java.io.IOException;
import java.net.ConnectException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.BooleanSupplier;
import org.torte.network.NetworkException;
import org.torte.network.posix.UnixSocket;

/** Asks a switch process. For one thread. */
public final class SwitchClient implements AutoCloseable {
    private static final Duration LIMIT = Duration.ofSeconds(30);

    private final UnixSocket socket;
    private final Messages messages;
    private long lastId;

    private SwitchClient(UnixSocket socket) {
        this.socket = socket;
        messages = new Messages(socket, Messages.LONGEST);
    }

    /**
     * Connects.
     *
     * @param socket where the process listens
     * @throws ConnectException when nobody listens there
     * @throws IOException when who does goes away again, or says nothing
     * @throws NetworkException when he is a process of another Torte
     */
    public static SwitchClient connect(Path socket) throws IOException {
        SwitchClient client = new SwitchClient(UnixSocket.connect(socket));
        boolean done = false;
        try {
            greeted(client.messages, () -> false);
            done = true;
            return client;
        } finally {
            if (!done) {
                client.close();
            }
        }
    }

    /** Hears what the server says first. */
    static void greeted(Messages messages, BooleanSupplier unwanted) throws IOException {
        JsonFields hello = fields(messages.await(LIMIT, unwanted));
        String protocol = hello.string("protocol");
        long version = hello.number("version", 0);
        if (!protocol.equals(Messages.PROTOCOL) || version != Messages.VERSION) {
            throw new NetworkException("the switch process speaks " + protocol + " " + version + ", this Torte "
                    + Messages.PROTOCOL + " " + Messages.VERSION + "; stop all machines, then it ends by itself");
        }
    }

    private static JsonFields fields(Messages.Said said) {
        said.discard();
        return JsonFields.parse(said.text(), "the answer of the switch process");
    }

    /**
     * Has the configuration read again.
     *
     * @return what of it cannot be made true
     * @throws IOException when the process has gone
     * @throws NetworkException when the configuration cannot be read
     */
    public List<ConfigurationProblem> reload() throws IOException {
        JsonFields result = new JsonFields(ask("reload"), "the answer of the switch process");
        return result.objects("problems").stream()
                .map(one -> new ConfigurationProblem(one.string("switch"), one.string("port"), one.string("message")))
                .toList();
    }

    /**
     * What there is: {@code switches} and {@code ports}, as docs/management.md describes them.
     *
     * @throws IOException when the process has gone
     */
    public Map<?, ?> status() throws IOException {
        return ask("status");
    }

    private Map<?, ?> ask(String method) throws IOException {
        long id = ++lastId;
        Map<String, Object> request = new HashMap<>();
        request.put("id", id);
        request.put("method", method);
        messages.say(request);
        while (true) {
            JsonFields answer = fields(messages.await(LIMIT));
            if (answer.number("id", 0) != id) {
                continue;
            }
            if (answer.values().containsKey("error")) {
                throw new NetworkException(answer.string("error"));
            }
            if (answer.values().get("result") instanceof Map<?, ?> result) {
                return result;
            }
            throw new IOException("the switch process answers without a result");
        }
    }

    @Override
    public void close() {
        socket.close();
    }
}
