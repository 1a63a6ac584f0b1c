package org.torte.cli.management;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.atomic.AtomicBoolean;
import org.torte.cli.GroupCommand;
import org.torte.cli.UsageException;
import org.torte.management.definition.Json;
import org.torte.worker.Capture;
import org.torte.worker.InputException;
import org.torte.worker.control.ControlClient;
import org.torte.worker.control.ControlException;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code torte adapter}. */
@Command(
        name = "torte adapter",
        description = "Looks at the network adapters of virtual machines; torte vm set changes them.",
        sortOptions = false,
        subcommands = {AdapterCommand.CaptureFrames.class})
public final class AdapterCommand extends GroupCommand {
    @Command(
            name = "capture",
            description = {
                "Writes what goes through a network adapter into a new file, in the pcapng format, which Wireshark and",
                "tshark read, until Ctrl-C or the end of the machine. The guest does not wait for the file's disk: what",
                "that is too slow for is dropped, and counted at the end."
            },
            sortOptions = false)
    static final class CaptureFrames extends ServiceOptions {
        @Parameters(index = "0", paramLabel = "VM", description = "the machine's name or its id; it runs")
        String name = "";

        @Option(names = "--out", required = true, paramLabel = "FILE", description = "a new file")
        String out = "";

        @Option(names = "--adapter", paramLabel = "N", description = "its number (default: 0, the first)")
        int adapter;

        @Option(names = "--length", paramLabel = "N", description = "the most bytes of a frame to keep (default: all)")
        int length = Capture.MAX_LENGTH;

        private final AtomicBoolean ended = new AtomicBoolean();

        @Override
        public Integer call() {
            JsonNode vm = service().get("/api/v1/vms/" + ServiceClient.segment(name));
            Map<String, Object> start = Map.of("adapter", adapter, "file", file().toString(), "length", length);
            try (ControlClient client = ConsoleSession.connect(vm)) {
                client.ask("capture.start", start, _ -> {});
                Runtime.getRuntime().addShutdownHook(new Thread(() -> stop(vm), "stop"));
                System.err.println(
                        "torte: capturing adapter " + adapter + " of " + name + " into " + out + "; Ctrl-C ends it");
                waitForItsEnd(client);
            }
            if (ended.compareAndSet(false, true)) {
                System.err.println("torte: the machine has ended; what went through until then is in " + out);
            }
            return 0;
        }

        private Path file() {
            try {
                return Path.of(out).toAbsolutePath();
            } catch (InvalidPathException e) {
                throw new UsageException("--out takes the path of a file, not \"" + out + "\"", e);
            }
        }

        /** Nothing is said on the connection before the machine ends. */
        private static void waitForItsEnd(ControlClient client) {
            try {
                while (true) {
                    client.receive();
                }
            } catch (IOException e) {
                return;
            }
        }

        /** The process ends: Ctrl-C is how a capture is ended, and no failure. */
        private void stop(JsonNode vm) {
            if (!ended.compareAndSet(false, true)) {
                return;
            }
            try (ControlClient client = ConsoleSession.connect(vm)) {
                Map<String, Object> result = client.ask("capture.stop", Map.of("adapter", adapter), _ -> {});
                show(
                        Json.MAPPER.valueToTree(result),
                        result.get("frames") + " frames in " + out + ", " + result.get("dropped") + " dropped"
                                + (result.containsKey("failure") ? ": " + result.get("failure") : "") + "\n");
            } catch (UsageException | InputException | ControlException e) {
                System.err.println("torte: " + e.getMessage());
            }
            System.out.flush();
            Runtime.getRuntime().halt(0);
        }
    }
}
