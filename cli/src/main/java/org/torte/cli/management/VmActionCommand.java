package org.torte.cli.management;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.torte.cli.Quantities;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** What a virtual machine can be made to do. */
abstract class VmActionCommand extends ServiceOptions {
    @Parameters(index = "0", paramLabel = "VM", description = "its name or its id")
    String name = "";

    @Option(names = "--wait", negatable = true, description = "waits for the end (the default), or does not")
    boolean wait = true;

    @Option(names = "--what-if", description = "says what would be done, and does nothing")
    boolean whatIf;

    /** The call, with its parameters. */
    abstract String action();

    @Override
    public Integer call() {
        String vm = "/api/v1/vms/" + ServiceClient.segment(name);
        String action = action();
        if (whatIf) {
            JsonNode now = plan(vm, action);
            show(
                    now,
                    "would " + action.split("\\?", 2)[0] + " "
                            + now.path("name").asText() + ", which is "
                            + now.path("state").asText() + "\n");
            return 0;
        }
        JsonNode task = service().call("POST", vm + "/" + action, null);
        if (!wait) {
            show(task, "task " + task.path("id").asText() + " has begun\n");
            return 0;
        }
        JsonNode ended = service().await(task);
        show(ended, "");
        return 0;
    }

    /** The machine as it is, if it is known that it could be done. */
    JsonNode plan(String vm, String action) {
        return service().get(vm);
    }

    @Command(name = "start", description = "Starts it, from where it was saved if it was.", sortOptions = false)
    static final class Start extends VmActionCommand {
        @Option(
                names = "--overcommit",
                description =
                        "whether the host has the memory for it or not; when it runs out, the host ends processes")
        boolean overcommit;

        @Override
        String action() {
            return overcommit ? "start?overcommit=true" : "start";
        }

        @Override
        JsonNode plan(String vm, String action) {
            return service().call("POST", vm + "/" + action + (overcommit ? "&" : "?") + "whatIf=true", null);
        }
    }

    @Command(
            name = "stop",
            description =
                    "Asks the guest to shut down and waits until it has; with --turn-off or --save something else.",
            sortOptions = false)
    static final class Stop extends VmActionCommand {
        @Option(names = "--turn-off", description = "turns it off like pulling its plug, whatever goes on")
        boolean turnOff;

        @Option(names = "--save", description = "the same as torte vm save")
        boolean save;

        @Option(names = "--timeout", paramLabel = "TIME", description = "how long the guest may take (default: 120s)")
        @Nullable
        String timeout;

        @Override
        String action() {
            if (turnOff) {
                return "turn-off";
            }
            if (save) {
                return "save";
            }
            Map<String, String> parameters = new LinkedHashMap<>();
            if (timeout != null) {
                parameters.put(
                        "timeout",
                        Long.toString(Quantities.duration("--timeout", timeout).toSeconds()));
            }
            return "stop" + ServiceClient.query(parameters);
        }
    }

    @Command(name = "restart", description = "Asks the guest to start again.", sortOptions = false)
    static final class Restart extends VmActionCommand {
        @Override
        String action() {
            return "restart";
        }
    }

    @Command(name = "pause", description = "Lets it stand still.", sortOptions = false)
    static final class Pause extends VmActionCommand {
        @Override
        String action() {
            return "pause";
        }
    }

    @Command(name = "resume", description = "Lets it go on.", sortOptions = false)
    static final class Resume extends VmActionCommand {
        @Override
        String action() {
            return "resume";
        }
    }

    @Command(
            name = "save",
            description = "Writes its memory and devices to its folder, and ends it.",
            sortOptions = false)
    static final class Save extends VmActionCommand {
        @Override
        String action() {
            return "save";
        }
    }

    @Command(
            name = "discard",
            description = "Throws away its saved state, so that it starts from the beginning.",
            sortOptions = false)
    static final class Discard extends VmActionCommand {
        @Override
        String action() {
            return "discard";
        }
    }
}
