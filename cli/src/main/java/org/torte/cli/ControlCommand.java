package org.torte.cli;

import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import org.torte.cli.output.OutputOption;
import org.torte.worker.control.ControlClient;
import org.torte.worker.control.ControlException;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Parameters;

/** {@code torte control}. */
@Command(
        name = "torte control",
        description = "Steers a machine that torte run --control SOCKET runs.",
        sortOptions = false,
        footer = {
            "",
            "Commands:",
            "  status                        what it is and does",
            "  pause, resume                 stops and continues its time",
            "  shutdown [force]              asks the guest to power off",
            "  restart [force]               asks the guest to start again",
            "  stop                          turns it off at once",
            "  save FILE [keep-running]      saves it and turns it off, or lets it go on",
            "  heartbeat                     how the guest does",
            "  kvp get [KEY [POOL]]          what the guest tells: guest-facts (its addresses and system; the default),",
            "                                guest, host, host-facts; * is every key",
            "  kvp set KEY VALUE             gives the guest a value",
            "  kvp remove KEY                takes it back",
            "  freeze [SECONDS], thaw        freezes the guest's file systems, for 60 seconds at most, and thaws them",
            "  memory [SIZE]                 shows or changes what the guest has",
            "  processor-limit [PERCENT]     shows or changes what each processor gets of one of the host's at most",
            "  disk add FILE[,ro][,format=F] adds a disk; says its unit",
            "  disk remove UNIT              removes it",
            "  disk list                     the disks, their sizes and the files they are made of",
            "  disk grow UNIT SIZE           makes a disk larger while it is used",
            "  disk merge UNIT [FILE]        merges a disk's file, or one of its parents, into the one below while it is",
            "                                used; Ctrl-C ends that, the disk stays whole, and it can be gone on with",
            "  capture start ADAPTER FILE [LENGTH]",
            "                                writes what goes through a network adapter into a new pcapng file; LENGTH bytes of",
            "                                each frame, all of it unless given",
            "  capture stop ADAPTER          ends it; says how many frames are in the file, and how many were dropped",
            "  type TEXT                     types on the guest's keyboard",
            "",
            "Exit status: 0 done, 2 wrong usage or no machine, 5 refused by the machine or its guest."
        })
final class ControlCommand implements Callable<Integer> {
    @Parameters(index = "0", paramLabel = "SOCKET", description = "the path given to --control")
    String socket = "";

    @Parameters(index = "1..*", paramLabel = "COMMAND", description = "one of those below")
    List<String> words = new ArrayList<>();

    @Mixin
    OutputOption output = new OutputOption();

    @Mixin
    HelpOption help = new HelpOption();

    @Override
    public Integer call() {
        ControlWords.Request request = ControlWords.parse(words);
        try (ControlClient client = ControlClient.connect(path())) {
            Map<String, Object> result =
                    client.ask(request.method(), request.parameters(), text -> System.err.println("torte: " + text));
            output.show(result, ControlWords.text(result));
            return ExitStatus.OK;
        } catch (ControlException e) {
            System.err.println("torte: " + e.getMessage());
            return e.code() == ControlException.Code.BAD_REQUEST ? ExitStatus.USAGE : ExitStatus.REFUSED;
        }
    }

    private Path path() {
        try {
            return Path.of(socket);
        } catch (InvalidPathException e) {
            throw new UsageException("\"" + socket + "\" is no path of a socket", e);
        }
    }
}
