package org.torte.cli.management;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.SeekableByteChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.torte.cli.ConsoleKeys;
import org.torte.cli.HostTerminal;
import org.torte.cli.UsageException;
import org.torte.management.definition.Json;
import org.torte.management.process.TerminalQueries;
import org.torte.management.process.VmFolder;
import org.torte.management.process.WorkerRecord;
import org.torte.worker.control.ControlClient;

/** The console of a running virtual machine on this terminal, until either ends. For one use. */
final class ConsoleSession {
    private static final int SCROLLBACK = 16 << 10;
    /** Of what is typed, so much goes into one request: a line of the protocol is bounded. */
    private static final int TYPED = 4096;

    private static final String HELP = """
            \r
            Ctrl-A x       leave\r
            Ctrl-A Ctrl-A  send Ctrl-A\r
            Ctrl-A h       this help\r
            """;

    private final String name;
    private final VmFolder folder;
    private volatile boolean leaving;

    /** Of a machine, as the service shows it. */
    ConsoleSession(JsonNode vm) {
        name = vm.path("name").asText();
        folder = new VmFolder(Path.of(vm.path("folder").asText()));
    }

    /** Connects with the worker of a machine, as the service shows it. */
    static ControlClient connect(JsonNode vm) {
        Path control = WorkerRecord.control(
                        new VmFolder(Path.of(vm.path("folder").asText())))
                .orElseThrow(() -> new UsageException(vm.path("name").asText() + " is "
                        + vm.path("state").asText() + "; start it with torte vm start"));
        return ControlClient.connect(control);
    }

    /**
     * Connects them.
     *
     * @param terminal made raw meanwhile; without one, what comes from standard input is typed
     * @return whether the user has left, and the machine goes on
     */
    boolean run(ControlClient client, @Nullable HostTerminal terminal) throws IOException {
        try (client) {
            print(TerminalQueries.removed(scrollback()));
            client.send(subscription());
            if (terminal != null) {
                System.err.print("torte: connected with " + name + "; Ctrl-A x leaves\r\n");
                terminal.makeRaw();
            }
            Thread.ofPlatform().name("torte-keys").daemon().start(() -> readKeys(client, terminal != null));
            show(client);
        } finally {
            if (terminal != null) {
                terminal.restore();
            }
        }
        return leaving;
    }

    /** The request for what the console says. */
    static String subscription() {
        return Json.text(
                Map.of("id", 0, "method", "subscribe", "params", Map.of("events", List.of("console", "state"))));
    }

    /** The request that types at the console. */
    static String typing(byte[] typed) {
        String text = new String(typed, StandardCharsets.ISO_8859_1);
        return Json.text(Map.of("id", 1, "method", "console.write", "params", Map.of("bytes", text)));
    }

    /** What a line says that the console has said; nothing if it says something else. */
    static byte[] output(Map<String, Object> line) {
        return "console".equals(line.get("event")) && line.get("data") instanceof Map<?, ?> data
                ? String.valueOf(data.get("bytes")).getBytes(StandardCharsets.ISO_8859_1)
                : new byte[0];
    }

    private void show(ControlClient client) {
        try {
            while (!leaving) {
                print(output(client.receive()));
            }
        } catch (IOException e) {
            // The machine has ended, or whoever types has left.
            return;
        }
    }

    private void readKeys(ControlClient client, boolean interactive) {
        ConsoleKeys keys = new ConsoleKeys(new Keys(client));
        byte[] buffer = new byte[TYPED];
        try (InputStream input = new FileInputStream(FileDescriptor.in)) {
            for (int length = input.read(buffer); length >= 0; length = input.read(buffer)) {
                byte[] typed = keys.filter(buffer, length);
                if (typed.length > 0) {
                    client.send(typing(typed));
                }
            }
            if (interactive) {
                leave(client);
            }
        } catch (IOException e) {
            // There is nobody to type, or nobody to read it.
            leave(client);
        }
    }

    private void leave(ControlClient client) {
        leaving = true;
        client.close();
    }

    static void print(byte[] bytes) {
        System.out.write(bytes, 0, bytes.length);
        System.out.flush();
    }

    private byte[] scrollback() throws IOException {
        try (SeekableByteChannel log = Files.newByteChannel(folder.run().resolve("console.log"))) {
            log.position(Math.max(0, log.size() - SCROLLBACK));
            ByteBuffer bytes = ByteBuffer.allocate(SCROLLBACK);
            int length = Math.max(0, log.read(bytes));
            return java.util.Arrays.copyOf(bytes.array(), length);
        } catch (NoSuchFileException e) {
            return new byte[0];
        }
    }

    private final class Keys implements ConsoleKeys.Actions {
        private final ControlClient client;

        Keys(ControlClient client) {
            this.client = client;
        }

        @Override
        public void quit() {
            leave(client);
        }

        @Override
        public void help() {
            System.err.print(HELP);
        }

        @Override
        public void save() {
            System.err.print("\r\ntorte: save it with torte vm save " + name + "\r\n");
        }

        @Override
        public void sendBreak() {
            System.err.print("\r\ntorte: a break cannot be sent from here\r\n");
        }

        @Override
        public void prompt() {
            System.err.print("\r\ntorte: other commands are typed elsewhere; see torte vm --help\r\n");
        }

        @Override
        public void echo(String text) {}

        @Override
        public void command(String line) {}
    }
}
