package org.torte.cli;

import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.util.HexFormat;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.torte.worker.ExitReport;
import org.torte.worker.InputException;
import org.torte.worker.TextNotFoundException;
import org.torte.worker.VirtualMachine;
import org.torte.worker.guest.GuestImages;
import org.torte.worker.guest.PackageSource;
import org.torte.worker.guest.TinyGuest;
import org.torte.worker.guest.TinyGuests;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/**
 * {@code torte demo}: with a terminal a shell in a guest, without one a session that proves itself.
 */
@Command(
        name = "torte demo",
        description = {
            "Boots a Linux made from the distribution's packages from its disk, a VHDX. With a terminal you get its"
                    + " shell;",
            "without one it runs a short session, prints what proves it, powers off and exits with 0."
        },
        sortOptions = false)
final class DemoCommand implements Callable<Integer> {
    private static final Duration PATIENCE = Duration.ofMinutes(10);

    /** What the guest computes on its disk, read back from there; the host does the same. */
    private static final int NUMBERS = 100_000;

    private static final Pattern DIGEST = Pattern.compile("sha256sum: +([0-9a-f]{64})");

    /** Typed ahead: no program in it may read from a pipe what it then prints, as busybox's would get the next lines, too. */
    private static final List<String> SESSION = List.of(
            "stty -echo; PS1=; dmesg -n 1; dmesg >/run/messages",
            "echo \"== kernel:      $(uname -srm)\"",
            "echo \"== processors:  $(grep -c ^processor /proc/cpuinfo) x "
                    + "$(sed -n '/^model name/{s/.*: //p;q}' /proc/cpuinfo)\"",
            "echo \"== hypervisor:  $(sed -n 's/.*Hypervisor detected: //p' /run/messages)\"",
            "echo \"== meltdown:    $(cat /sys/devices/system/cpu/vulnerabilities/meltdown)\"",
            "echo \"== disk:        $(sed -n 's|^\\(/dev/[^ ]*\\) / \\([^ ]*\\) .*|\\1, \\2|p' /proc/mounts), "
                    + "$(cd /sys/bus/vmbus/drivers && echo *storvsc)\"",
            "seq 1 " + NUMBERS + " >/root/numbers; sync; echo 3 >/proc/sys/vm/drop_caches",
            "echo \"== sha256sum:   $(sha256sum </root/numbers)\"",
            "poweroff");

    @Option(names = "--processors", paramLabel = "N", description = "virtual processors, 1 to 64; 2 unless given")
    String processors = "2";

    @Option(names = "--memory", paramLabel = "SIZE", description = "RAM, such as 512M (the default) or 2G")
    String memory = "512M";

    @Option(
            names = "--kernel",
            paramLabel = "PACKAGE",
            description = "another kernel, by its package's name or .deb file, as in torte image build tiny")
    @Nullable
    String kernel;

    @Option(names = "--hypervisor", paramLabel = "NAME", description = "auto (the default), software or kvm")
    String hypervisor = "auto";

    @Option(
            names = {"-h", "--help"},
            usageHelp = true,
            description = "shows this help")
    boolean help;

    @Override
    public Integer call() throws IOException {
        boolean interactive = HostTerminal.find() != null;
        TinyGuests guests = new TinyGuests(new GuestImages(step -> System.err.println("torte: " + step)));
        TinyGuest guest = kernel == null ? guests.guest() : guests.make(PackageSource.host(), kernel);
        Path folder = Files.createTempDirectory("torte-demo");
        Path disk = folder.resolve("tiny.vhdx");
        try {
            guest.disk(disk, TinyGuest.DEFAULT_SIZE);
            VirtualMachine.Builder builder = TinyGuest.machine(disk)
                    .memory(Quantities.bytes("--memory", memory))
                    .processors(Quantities.integer("--processors", processors))
                    .hypervisor(hypervisor)
                    .consoleOutput(new FileOutputStream(FileDescriptor.out));
            try (VirtualMachine machine = builder.build()) {
                if (interactive) {
                    System.err.println(
                            "torte: a shell follows; Ctrl-A h shows the keys, poweroff or Ctrl-A x ends it; its disk is"
                                    + " thrown away then, torte image build tiny makes one to keep");
                    return new ForegroundRun(machine, null, false, null, System.err).run();
                }
                return prove(machine);
            }
        } finally {
            Files.deleteIfExists(disk);
            Files.deleteIfExists(folder);
        }
    }

    private static int prove(VirtualMachine machine) {
        machine.start();
        try {
            machine.console().waitForText(Pattern.compile(Pattern.quote(TinyGuest.PROMPT)), PATIENCE);
            for (String line : SESSION) {
                machine.console().type(line + "\n");
            }
            Matcher found = DIGEST.matcher(machine.console().waitForText(DIGEST, PATIENCE));
            String digest = sha256(numbers());
            if (!found.find() || !found.group(1).equals(digest)) {
                throw new InputException("the guest computed another SHA-256 sum than the host's " + digest
                        + "; this is an error of Torte's, please report it");
            }
        } catch (TextNotFoundException e) {
            System.err.println(
                    "torte: the guest has not done its session; torte image build tiny makes a disk to look into");
            return ExitStatus.TIMEOUT;
        }
        ExitReport end = machine.awaitExit(PATIENCE);
        machine.console().close();
        System.err.printf(
                "torte: the host's sum is the same; the guest %s after %.1f s%n",
                end instanceof ExitReport.PoweredOff ? "powered off" : "ended as " + end,
                machine.statistics().running().toMillis() / 1e3);
        return end instanceof ExitReport.PoweredOff ? ExitStatus.OK : ExitStatus.CRASHED;
    }

    private static byte[] numbers() {
        StringBuilder text = new StringBuilder();
        for (int i = 1; i <= NUMBERS; i++) {
            text.append(i).append('\n');
        }
        return text.toString().getBytes(StandardCharsets.US_ASCII);
    }

    private static String sha256(byte[] data) {
        try {
            return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(data));
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every JDK has SHA-256", e);
        }
    }
}
