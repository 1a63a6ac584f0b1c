package org.torte.cli.management;

import org.jspecify.annotations.Nullable;
import org.torte.cli.Quantities;
import org.torte.cli.UsageException;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** What a virtual machine can be made to do. */
abstract class VmActionCommand extends TaskOfVm {
    @Mixin
    VmParameter vm = new VmParameter();

    /** The call, with its parameters. */
    abstract String action();

    @Override
    public Integer call() {
        String action = action();
        begin("POST", vm.path(action), null, action.split("\\?", 2)[0]).ifPresent(ended -> show(ended, ""));
        return 0;
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
            if ((turnOff && save) || (timeout != null && (turnOff || save))) {
                throw new UsageException("--turn-off, --save and --timeout exclude each other; give one of them");
            }
            if (turnOff) {
                return "turn-off";
            }
            if (save) {
                return "save";
            }
            return timeout == null ? "stop" : "stop?timeout=" + seconds(timeout);
        }

        /** In whole seconds, as the service counts, and no less than was given. */
        private static long seconds(String text) {
            return Quantities.duration("--timeout", text).plusMillis(999).toSeconds();
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
