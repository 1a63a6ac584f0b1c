package org.torte.management.rest;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.DataInputStream;
import java.io.IOException;
import java.net.InetAddress;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.net.http.WebSocket;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Instant;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.torte.management.DataFolder;
import org.torte.management.FakeSwitches;
import org.torte.management.FakeWorkers;
import org.torte.management.Host;
import org.torte.management.definition.Json;

/** Consoles over WebSockets, of guests that are none. */
class ConsoleSocketTest {
    private static final long PATIENCE = Long.getLong("torte.patience", 60);

    @TempDir
    Path folder;

    private final HttpClient client = HttpClient.newHttpClient();
    private final FakeWorkers workers = new FakeWorkers();
    private final AtomicReference<Instant> now =
            new AtomicReference<>(Clock.systemUTC().instant());
    private DataFolder data;
    private Host host;
    private Access access;
    private RestServer server;
    private int port;
    private String owner;

    @BeforeEach
    void startServer() throws IOException {
        String kernel = Files.writeString(folder.resolve("vmlinuz"), "kernel").toString();
        data = DataFolder.open(folder.resolve("data"));
        host = Host.open(data, workers, new FakeSwitches(), InstantSource.system());
        access = new Access(data.tokens(), InstantSource.system());
        owner = access.owner();
        server = new RestServer(host, access, now::get);
        port = server.start(0);
        for (String name : List.of("web1", "web2")) {
            assertThat(post("vms", owner, Map.of("name", name, "boot", Map.of("kernel", kernel)))
                            .statusCode())
                    .isEqualTo(201);
        }
        start("web1");
    }

    private void start(String name) {
        HttpResponse<String> begun = post("vms/" + name + "/start", owner, "");
        String task = begun.headers().firstValue("Location").orElseThrow();
        assertThat(json(get(task + "?wait=60", owner)).path("state").asText()).isEqualTo("succeeded");
    }

    @AfterEach
    void stopServer() {
        client.shutdownNow();
        server.close();
        host.close();
        data.close();
    }

    private HttpResponse<String> post(String path, String token, Object body) {
        return send(HttpRequest.newBuilder(uri("http", "/api/v1/" + path))
                .header("Authorization", "Bearer " + token)
                .header("Content-Type", "application/json")
                .POST(BodyPublishers.ofString(body instanceof String text ? text : Json.text(body))));
    }

    private HttpResponse<String> get(String path, String token) {
        return send(HttpRequest.newBuilder(uri("http", path)).header("Authorization", "Bearer " + token));
    }

    private HttpResponse<String> send(HttpRequest.Builder request) {
        try {
            return client.send(request.build(), BodyHandlers.ofString());
        } catch (IOException | InterruptedException e) {
            throw new AssertionError(e);
        }
    }

    private URI uri(String scheme, String path) {
        return URI.create(scheme + "://127.0.0.1:" + port + path);
    }

    private static JsonNode json(HttpResponse<String> response) {
        return Json.read(response.body().getBytes(StandardCharsets.UTF_8), JsonNode.class, "the answer");
    }

    private JsonNode ticket(String vm, String purpose, String token) {
        HttpResponse<String> made = post("vms/" + vm + "/console/tickets", token, Map.of("purpose", purpose));
        assertThat(made.statusCode()).as(made.body()).isEqualTo(201);
        return json(made);
    }

    private Viewer look(String purpose) {
        return open(ticket("web1", purpose, owner).path("path").asText());
    }

    private Viewer open(String path) {
        Viewer viewer = new Viewer();
        viewer.socket =
                client.newWebSocketBuilder().buildAsync(uri("ws", path), viewer).join();
        return viewer;
    }

    private static void await(BooleanSupplier condition) {
        long until = System.nanoTime() + TimeUnit.SECONDS.toNanos(PATIENCE);
        while (!condition.getAsBoolean()) {
            assertThat(System.nanoTime()).as("patience").isLessThan(until);
            LockSupport.parkNanos(1_000_000);
        }
    }

    @Test
    void severalLookAndTypeAndHoldOneConnectionWithTheWorker() {
        workers.say("before\u001b[6n\r\n");
        Viewer one = look("type");
        one.awaitText("before\r\n");
        Viewer other = look("view");
        other.awaitText("before\r\n");
        workers.say("login: \u00ff");
        one.awaitText("before\r\nlogin: \u00ff");
        other.awaitText("before\r\nlogin: \u00ff");
        one.type("r\u00f6ot\n");
        await(() -> workers.typed.contains("r\u00c3\u00b6ot\n"));
        assertThat(workers.listening()).isOne();
        assertThat(server.consoles().feeds()).isOne();
        one.socket.sendClose(WebSocket.NORMAL_CLOSURE, "").join();
        assertThat(one.end()).startsWith("1000");
        workers.say("password: ");
        other.awaitText("password: ");
        other.socket.abort();
        await(() -> server.consoles().open() == 0 && workers.listening() == 0);
        assertThat(server.consoles().feeds()).isZero();
    }

    @Test
    void aTicketIsForOneUseOfOneConsoleForHalfAMinute() {
        start("web2");
        String path = ticket("web1", "view", owner).path("path").asText();
        Viewer viewer = open(path);
        refused(path, 401);
        viewer.socket.abort();
        String other = ticket("web1", "view", owner).path("ticket").asText();
        refused("/api/v1/vms/web2/console?ticket=" + other, 401);
        refused("/api/v1/vms/web1/console?ticket=" + other, 401);
        refused("/api/v1/vms/web1/console?ticket=", 401);
        refused("/api/v1/vms/web1/console", 401);
        refused("/api/v1/vms/web1/console?tickt=1", 400);
        refused("/api/v1/vms/web3/console?ticket=1", 404);
        JsonNode late = ticket("web1", "view", owner);
        assertThat(Instant.parse(late.path("expires").asText()))
                .isEqualTo(now.get().plusSeconds(30));
        now.updateAndGet(time -> time.plusSeconds(30));
        refused(late.path("path").asText(), 401);
        String before = ticket("web1", "view", owner).path("path").asText();
        now.updateAndGet(time -> time.minusSeconds(3600));
        refused(before, 401);
        open("/api/v1/vms/web1/console?ticket="
                        + ticket("web1", "view", owner).path("ticket").asText())
                .socket
                .abort();
    }

    private void refused(String path, int status) {
        try (Raw raw = new Raw(path, "Host: localhost:" + port + "\r\n")) {
            assertThat(raw.head).as(path).startsWith("HTTP/1.1 " + status).contains("application/problem+json");
            Matcher length = Pattern.compile("(?i)content-length: (\\d+)").matcher(raw.head);
            assertThat(length.find()).as(raw.head).isTrue();
            byte[] body = raw.input.readNBytes(Integer.parseInt(length.group(1)));
            assertThat(Json.read(body, JsonNode.class, "the answer")
                            .path("status")
                            .asInt())
                    .isEqualTo(status);
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    @Test
    void ticketsAreBounded() {
        for (int i = 0; i < 1000; i++) {
            ticket("web1", "view", owner);
        }
        assertThat(post("vms/web1/console/tickets", owner, Map.of("purpose", "view"))
                        .statusCode())
                .isEqualTo(503);
        now.updateAndGet(time -> time.plusSeconds(31));
        ticket("web1", "view", owner);
    }

    @Test
    void aMachineThatDoesNotRunHasNoConsole() {
        HttpResponse<String> refused = post("vms/web2/console/tickets", owner, Map.of("purpose", "view"));
        assertThat(refused.statusCode()).isEqualTo(409);
        assertThat(refused.body()).contains("web2 is Off and has no console");
        assertThat(get("/api/v1/vms/web1/console", owner).statusCode()).isEqualTo(400);
    }

    @Test
    void whoseTokenIsRemovedSeesNothingAnyMore() {
        String token = json(post("tokens", owner, Map.of("name", "ci", "role", "operator")))
                .path("token")
                .asText();
        Viewer viewer = open(ticket("web1", "type", token).path("path").asText());
        Viewer mine = look("view");
        String unused = ticket("web1", "type", token).path("path").asText();
        send(HttpRequest.newBuilder(uri("http", "/api/v1/tokens/ci"))
                .header("Authorization", "Bearer " + owner)
                .DELETE());
        assertThat(viewer.end()).isEqualTo("1008 the token has been removed");
        refused(unused, 401);
        workers.say("still here");
        mine.awaitText("still here");
    }

    @Test
    void whoMayOnlyLookCannotTypeAndNobodySendsText() {
        Viewer viewer = look("view");
        viewer.type("reboot\n");
        assertThat(viewer.end()).isEqualTo("1008 the ticket is for looking only");
        Viewer writer = look("type");
        writer.socket.sendText("reboot\n", true).join();
        assertThat(writer.end()).startsWith("1003 ");
        assertThat(workers.typed).isEmpty();
    }

    @Test
    void whatIsTypedFasterThanTheGuestReadsWaits() {
        workers.failing.add("console.write");
        Viewer viewer = look("type");
        String paste = "0123456789abcdef".repeat(2000);
        viewer.type(paste);
        viewer.type("end");
        await(() -> workers.asked.stream().filter("console.write"::equals).count() > 1);
        assertThat(workers.typed).isEmpty();
        workers.failing.clear();
        await(() -> workers.typed.contains("end"));
        assertThat(String.join("", workers.typed)).isEqualTo(paste + "end");
    }

    @Test
    void theEndOfTheMachineAndOfTheServiceAreToldApart() {
        Viewer first = look("view");
        await(() -> workers.listening() == 1);
        workers.powerOff();
        assertThat(first.end()).isEqualTo("1000 the machine has ended");
        await(() -> !json(get("/api/v1/vms/web1", owner)).path("state").asText().equals("Running"));
        start("web1");
        Viewer second = look("view");
        Viewer third = look("view");
        workers.say("up again");
        second.awaitText("up again");
        server.close();
        assertThat(second.end()).startsWith("1001 the service ends");
        assertThat(third.end()).startsWith("1001 the service ends");
        server = new RestServer(host, access, now::get);
        port = server.start(0);
        look("view").awaitText("up again");
    }

    @ParameterizedTest
    @CsvSource({"evil.example, ", "localhost, http://evil.example", "127.0.0.1, null"})
    void pagesOfOtherSitesAreRefused(String name, String origin) throws IOException {
        String headers = "Host: " + name + ":" + port + "\r\n" + (origin == null ? "" : "Origin: " + origin + "\r\n");
        String path = ticket("web1", "view", owner).path("path").asText();
        try (Raw raw = new Raw(path, headers)) {
            assertThat(raw.head).startsWith("HTTP/1.1 403");
        }
        // Nor is the ticket spent by that.
        open(path).socket.abort();
    }

    @Test
    void whoDoesNotReadIsDroppedAndHoldsNobodyUp() throws IOException {
        Viewer viewer = look("view");
        try (Raw stuck = raw("view")) {
            await(() -> server.consoles().open() == 2);
            String line = "x".repeat(1023) + "\n";
            // A host's buffers take some MiB before anybody is late.
            for (int i = 0; i < 64 && server.consoles().open() == 2; i++) {
                workers.say(line.repeat(512) + i);
                viewer.awaitText("\n" + i);
            }
            workers.say("the end");
            viewer.awaitText("the end");
            await(() -> server.consoles().open() == 1);
            assertThat(stuck.head).startsWith("HTTP/1.1 101");
        }
    }

    /** Frames as bytes in hexadecimal digits; what an endless message begins with is sent again and again. */
    @ParameterizedTest
    @CsvSource({
        "unmasked, 820178, , 1002",
        "reserved bit, f28100000000 78, , 1002",
        "unknown opcode, 8b8000000000, , 1002",
        "continuation of nothing, 808100000000 78, , 1002",
        "binary within a message, 028100000000 78 028100000000 78, , 1002",
        "fragmented ping, 098000000000, , 1002",
        "control frame too long, 89fe100000000000, 00fe100000000000, 1002",
        "close of one byte, 888100000000 78, , 1002",
        "close with a code that nobody sends, 88820000000003ed, , 1002",
        "close with garbage, 88840000000003e8ff78, , 1007",
        "garbage as text, 818200000000c328, , 1007",
        "one that says it is huge, 82ff000000ffffffffff00000000, , 1009",
        "one of a negative length, 82ffffffffffffffffff00000000, , 1009",
        "one that never ends, 02fe100000000000, 00fe100000000000, 1009",
        "text that never ends, 01fe100000000000, 00fe100000000000, 1009",
    })
    void hostileFramesEndTheirConnectionOnly(String what, String begin, String again, int code) throws IOException {
        Viewer viewer = look("view");
        try (Raw raw = raw("type")) {
            byte[] content = new byte[again == null ? 0 : 0x1000];
            raw.send(begin, content);
            for (int i = 0; again != null && i < 100 && raw.send(again, content); i++) {
                assertThat(i).as("frames of a message without end").isLessThan(100);
            }
            assertThat(raw.closeCode()).as(what).isEqualTo(code);
        }
        workers.say("still here");
        viewer.awaitText("still here");
        await(() -> server.consoles().open() == 1);
        assertThat(workers.typed).isEmpty();
    }

    @Test
    void aFloodOfPingsIsAnsweredNoFasterThanItIsRead() throws IOException {
        Viewer viewer = look("view");
        try (Raw raw = raw("type")) {
            byte[] ping = new byte[125];
            byte[] all = new byte[512 * 131];
            for (int i = 0; i < 512; i++) {
                System.arraycopy(HexFormat.of().parseHex("89fd00000000"), 0, all, i * 131, 6);
                System.arraycopy(ping, 0, all, i * 131 + 6, 125);
            }
            CompletableFuture<Long> sent = CompletableFuture.supplyAsync(() -> raw.flood(all, 64 << 20));
            for (int i = 0; i < 20; i++) {
                workers.say("line " + i);
                viewer.awaitText("line " + i);
            }
            raw.close();
            // Some MiB are in the buffers of the host; the service keeps none of it.
            assertThat(sent.orTimeout(PATIENCE, TimeUnit.SECONDS).join()).isLessThan(64 << 20);
        }
        await(() -> server.consoles().open() == 1);
    }

    /** Clients that nobody here wrote, one of another language and one of another maker. */
    @ParameterizedTest
    @ValueSource(strings = {"python3", "node"})
    void strangersLookAndType(String program) throws IOException, InterruptedException {
        List<String> command = program.equals("python3")
                ? List.of("/usr/bin/python3", "-c", PYTHON)
                : List.of("node", "--experimental-websocket", "-e", NODE);
        assumeTrue(
                runs(
                        program.equals("python3")
                                ? List.of("/usr/bin/python3", "-c", "import websockets")
                                : List.of(
                                        "node",
                                        "--experimental-websocket",
                                        "-e",
                                        "new WebSocket('ws://localhost:1').onerror = () => {}")),
                program.equals("python3")
                        ? "python3-websockets is not here"
                        : "there is no node with a WebSocket here");
        workers.say("login: ");
        String path = ticket("web1", "type", owner).path("path").asText();
        List<String> whole = new ArrayList<>(command);
        whole.add("ws://127.0.0.1:" + port + path);
        Process process = new ProcessBuilder(whole).redirectErrorStream(true).start();
        try {
            await(() -> workers.typed.contains("root\n") || !process.isAlive());
            workers.say("\u00e4Password: ".repeat(10_000) + "# ");
            await(() -> workers.typed.contains("exit\n") || !process.isAlive());
            workers.powerOff();
            String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            assertThat(process.waitFor()).as(output).isZero();
            assertThat(output).contains("1000 the machine has ended");
        } finally {
            process.destroyForcibly();
        }
    }

    private static boolean runs(List<String> command) throws InterruptedException {
        try {
            return new ProcessBuilder(command)
                            .redirectErrorStream(true)
                            .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                            .start()
                            .waitFor()
                    == 0;
        } catch (IOException e) {
            return false;
        }
    }

    private static final String PYTHON = """
            import asyncio, sys, websockets
            async def main():
                async with websockets.connect(sys.argv[1]) as socket:
                    async def until(end):
                        seen = b""
                        while not seen.endswith(end):
                            seen += await socket.recv()
                        return seen
                    await until(b"login: ")
                    await socket.send(b"root\\n")
                    assert len(await until(b"# ")) == 110002
                    await socket.send(b"exit\\n")
                    await socket.wait_closed()
                    print(socket.close_code, socket.close_reason)
            asyncio.run(main())
            """;

    private static final String NODE = """
            const socket = new WebSocket(process.argv[1])
            socket.binaryType = 'arraybuffer'
            let seen = ''
            socket.onmessage = message => {
              seen += Buffer.from(message.data).toString('latin1')
              if (seen.endsWith('login: ')) { socket.send(Buffer.from('root\\n')); seen = '' }
              if (seen.endsWith('# ') && seen.length === 110002) socket.send(Buffer.from('exit\\n'))
            }
            socket.onclose = end => console.log(end.code, end.reason)
            """;

    private Raw raw(String purpose) throws IOException {
        Raw raw = new Raw(ticket("web1", purpose, owner).path("path").asText(), "Host: localhost:" + port + "\r\n");
        assertThat(raw.head).startsWith("HTTP/1.1 101");
        return raw;
    }

    /** A client that sends whatever it likes. */
    private final class Raw implements AutoCloseable {
        final String head;
        private final Socket socket = new Socket(InetAddress.getLoopbackAddress(), port);
        private final DataInputStream input = new DataInputStream(socket.getInputStream());

        Raw(String path, String headers) throws IOException {
            socket.setSoTimeout((int) TimeUnit.SECONDS.toMillis(PATIENCE));
            socket.getOutputStream()
                    .write(("GET " + path + " HTTP/1.1\r\n" + headers
                                    + "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                                    + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
                            .getBytes(StandardCharsets.US_ASCII));
            StringBuilder read = new StringBuilder();
            while (read.indexOf("\r\n\r\n") < 0) {
                read.append((char) input.readUnsignedByte());
            }
            head = read.toString();
        }

        /** Whether there was anybody to send it to. */
        boolean send(String hex, byte[] content) {
            try {
                socket.getOutputStream().write(HexFormat.of().parseHex(hex.replace(" ", "")));
                socket.getOutputStream().write(content);
                return true;
            } catch (IOException e) {
                return false;
            }
        }

        /** How many bytes went before nobody took more. */
        long flood(byte[] bytes, long most) {
            long sent = 0;
            try {
                for (; sent < most; sent += bytes.length) {
                    socket.getOutputStream().write(bytes);
                }
            } catch (IOException e) {
                return sent;
            }
            return sent;
        }

        /** Reads to the close frame, which comes before the end. */
        int closeCode() throws IOException {
            while (true) {
                int first = input.readUnsignedByte();
                int length = input.readUnsignedByte();
                length = length == 126 ? input.readUnsignedShort() : length;
                byte[] content = input.readNBytes(length);
                if (first == 0x88) {
                    return ByteBuffer.wrap(content).getShort();
                }
            }
        }

        @Override
        public void close() throws IOException {
            socket.close();
        }
    }

    /** What a client of the JDK sees. */
    private static final class Viewer implements WebSocket.Listener {
        final StringBuilder seen = new StringBuilder();
        final CompletableFuture<String> closed = new CompletableFuture<>();

        @SuppressWarnings("NullAway.Init")
        volatile WebSocket socket;

        @Override
        public CompletionStage<?> onBinary(WebSocket from, ByteBuffer bytes, boolean last) {
            synchronized (seen) {
                seen.append(StandardCharsets.ISO_8859_1.decode(bytes));
            }
            from.request(1);
            return CompletableFuture.completedStage(null);
        }

        @Override
        public CompletionStage<?> onClose(WebSocket from, int code, String reason) {
            closed.complete(code + " " + reason);
            return CompletableFuture.completedStage(null);
        }

        @Override
        public void onError(WebSocket from, Throwable error) {
            closed.complete("error " + error);
        }

        void awaitText(String text) {
            await(() -> {
                synchronized (seen) {
                    return seen.length() >= text.length()
                            && seen.substring(seen.length() - text.length()).equals(text);
                }
            });
        }

        void type(String text) {
            socket.sendBinary(ByteBuffer.wrap(text.getBytes(StandardCharsets.UTF_8)), true)
                    .join();
        }

        String end() {
            return closed.orTimeout(PATIENCE, TimeUnit.SECONDS).join();
        }
    }
}
