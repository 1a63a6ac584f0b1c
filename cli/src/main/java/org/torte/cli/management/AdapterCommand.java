package org.torte.cli.management;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicBoolean;
import org.torte.cli.ExitStatus;
import org.torte.cli.GroupCommand;
import org.torte.cli.UsageException;
import org.torte.management.definition.Json;
import org.torte.worker.Capture;
import org.torte.worker.InputException;
import org.torte.worker.control.ControlClient;
import org.torte.worker.control.ControlException;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code torte adapter}. */
@Command(
        name = "torte adapter",
        description = {
            "Shows, connects and sets the network adapters of virtual machines; torte vm set --network gives a machine",
            "others. What is changed of adapters at switches holds at once."
        },
        sortOptions = false,
        subcommands = {
            AdapterChangeCommands.ListAdapters.class,
            AdapterChangeCommands.Get.class,
            AdapterChangeCommands.Connect.class,
            AdapterChangeCommands.Disconnect.class,
            AdapterChangeCommands.Set.class,
            AdapterChangeCommands.Forward.class,
            AdapterCommand.CaptureFrames.class
        })
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
        @Mixin
        VmParameter vm = new VmParameter();

        @Option(names = "--out", required = true, paramLabel = "FILE", description = "a new file")
        String out = "";

        @Option(
                names = "--adapter",
                paramLabel = "ADAPTER",
                description = "which (default: the first); torte vm get shows them")
        String adapter = "";

        @Option(names = "--length", paramLabel = "N", description = "the most bytes of a frame to keep (default: all)")
        int length = Capture.MAX_LENGTH;

        private final AtomicBoolean ended = new AtomicBoolean();

        @Override
        public Integer call() {
            JsonNode machine = service().get(vm.path());
            int number = number(machine);
            Map<String, Object> start = Map.of("adapter", number, "file", file().toString(), "length", length);
            try (ControlClient client = ConsoleSession.connect(machine)) {
                client.ask("capture.start", start, _ -> {});
                Runtime.getRuntime().addShutdownHook(new Thread(() -> stop(machine, number), "stop"));
                System.err.println("torte: capturing "
                        + machine.at("/adapters/" + number + "/name").asText() + " of "
                        + machine.path("name").asText() + " into " + out + "; Ctrl-C ends it");
                waitForItsEnd(client);
            } catch (ControlException e) {
                System.err.println("torte: " + e.getMessage());
                return e.code() == ControlException.Code.BAD_REQUEST ? ExitStatus.USAGE : ExitStatus.REFUSED;
            }
            if (ended.compareAndSet(false, true)) {
                System.err.println("torte: the machine has ended; what went through until then is in " + out);
            }
            return ExitStatus.OK;
        }

        /** A machine's adapters are numbered as its definition has them. */
        private int number(JsonNode machine) {
            List<String> names = new ArrayList<>();
            machine.path("adapters").forEach(one -> names.add(one.path("name").asText()));
            int number = adapter.isEmpty() ? 0 : names.indexOf(adapter);
            if (names.isEmpty()) {
                throw new UsageException(machine.path("name").asText()
                        + " has no network adapters; give it one with torte vm set --network");
            }
            if (number < 0) {
                throw new UsageException(machine.path("name").asText() + " has no adapter \"" + adapter + "\"; it has "
                        + String.join(", ", names));
            }
            return number;
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
        private void stop(JsonNode machine, int number) {
            if (!ended.compareAndSet(false, true)) {
                return;
            }
            try (ControlClient client = ConsoleSession.connect(machine)) {
                Map<String, Object> result = client.ask("capture.stop", Map.of("adapter", number), _ -> {});
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
