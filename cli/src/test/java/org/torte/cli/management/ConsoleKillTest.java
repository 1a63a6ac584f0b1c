package org.torte.cli.management;

import static org.assertj.core.api.Assertions.assertThat;

import java.net.http.HttpClient;
import java.net.http.WebSocket;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The service is killed while somebody looks at a console through a WebSocket. */
@Timeout(300)
class ConsoleKillTest {
    private static final String PATH = "/api/v1/vms/a";

    @TempDir
    Path folder;

    /** Says what it is told: polls the line status of the serial port, reads what has come, writes it. */
    private Path kernel() throws Exception {
        ByteBuffer image = ByteBuffer.allocate(64).order(ByteOrder.LITTLE_ENDIAN);
        image.putInt(0x1badb002).putInt(0x10000).putInt(-(0x1badb002 + 0x10000));
        image.putInt(0x100000).putInt(0x100000).putInt(0).putInt(0).putInt(0x100020);
        image.put(HexFormat.of().parseHex("66bafd03eca80174f766baf803eceeebef"));
        return Files.write(folder.resolve("kernel"), image.array());
    }

    /** Who looks and types. */
    private static final class Viewer implements WebSocket.Listener {
        private final StringBuilder seen = new StringBuilder();
        private final CompletableFuture<String> end = new CompletableFuture<>();
        private final WebSocket socket;

        Viewer(ServiceProcess service, HttpClient client) throws Exception {
            ServiceProcess.Answer ticket = service.call("POST", PATH + "/console/tickets", Map.of("purpose", "type"));
            assertThat(ticket.status()).as(ticket.toString()).isEqualTo(201);
            socket = client.newWebSocketBuilder()
                    .buildAsync(service.socket(ticket.body().path("path").asText()), this)
                    .join();
        }

        void type(String text) {
            socket.sendBinary(ByteBuffer.wrap(text.getBytes(StandardCharsets.ISO_8859_1)), true)
                    .join();
        }

        void awaitText(String text) throws InterruptedException {
            while (!seen().equals(text)) {
                assertThat(text).startsWith(seen());
                Thread.sleep(5);
            }
        }

        private synchronized String seen() {
            return seen.toString();
        }

        @Override
        public synchronized @Nullable CompletionStage<?> onBinary(WebSocket from, ByteBuffer data, boolean last) {
            seen.append(StandardCharsets.ISO_8859_1.decode(data));
            from.request(1);
            return null;
        }

        @Override
        public @Nullable CompletionStage<?> onClose(WebSocket from, int status, String reason) {
            end.complete("closed with " + status);
            return null;
        }

        @Override
        public void onError(WebSocket from, Throwable error) {
            end.complete("cut off");
        }
    }

    @Test
    void theMachineGoesOnTheViewerIsCutOffAndTheNextServiceShowsTheConsoleWithWhatWasSaid() throws Exception {
        try (ServiceProcess service = new ServiceProcess(folder.resolve("d"), "-XX:TieredStopAtLevel=1");
                HttpClient client = HttpClient.newHttpClient()) {
            service.start();
            ServiceProcess.Answer made = service.call(
                    "POST",
                    "/api/v1/vms",
                    Map.of("name", "a", "memory", 4 << 20, "boot", Map.of("kernel", kernel().toString())));
            assertThat(made.status()).as(made.toString()).isEqualTo(201);
            service.startMachine(PATH);
            long worker = service.get(PATH).path("processId").asLong();
            Viewer first = new Viewer(service, client);
            first.type("one ");
            first.awaitText("one ");
            service.kill();
            assertThat(first.end.get(1, TimeUnit.MINUTES)).isIn("cut off", "closed with 1006");
            service.start();
            assertThat(service.get(PATH).path("processId").asLong()).isEqualTo(worker);
            Viewer next = new Viewer(service, client);
            next.awaitText("one ");
            next.type("two");
            next.awaitText("one two");
            assertThat(service.get(PATH).path("state").asText()).isEqualTo("Running");
            service.done("POST", PATH + "/turn-off", null);
            assertThat(next.end.get(1, TimeUnit.MINUTES)).isEqualTo("closed with 1000");
        }
    }
}
