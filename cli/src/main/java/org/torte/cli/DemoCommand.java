package org.torte.cli;

import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.util.HexFormat;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.concurrent.Callable;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.torte.worker.ExitReport;
import org.torte.worker.InputException;
import org.torte.worker.TextNotFoundException;
import org.torte.worker.VirtualMachine;
import org.torte.worker.guest.GuestImages;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/**
 * {@code torte demo}: with a terminal a shell in a guest, without one a session that proves itself.
 */
@Command(
        name = "torte demo",
        description = {
            "Boots a Linux made from the distribution's packages. With a terminal you get its shell;",
            "without one it runs a short session, prints what proves it, powers off and exits with 0."
        },
        sortOptions = false)
final class DemoCommand implements Callable<Integer> {
    private static final Duration PATIENCE = Duration.ofMinutes(10);

    private static final String SCRIPT = """
            echo "== kernel:      $(uname -srm)"
            echo "== processors:  $(grep -c ^processor /proc/cpuinfo) x $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1)"
            echo "== hypervisor:  $(dmesg | sed -n 's/.*Hypervisor detected: //p')"
            echo "== meltdown:    $(cat /sys/devices/system/cpu/vulnerabilities/meltdown)"
            echo "== sha256sum:   $(sha256sum </torte/data)"
            """;

    @Option(names = "--processors", paramLabel = "N", description = "virtual processors, 1 to 64; 2 unless given")
    String processors = "2";

    @Option(names = "--memory", paramLabel = "SIZE", description = "RAM, such as 512M (the default) or 2G")
    String memory = "512M";

    @Option(names = "--kernel", paramLabel = "FILE", description = "another kernel than the distribution's")
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
        byte[] data = new byte[1 << 20];
        new SplittableRandom(2026).nextBytes(data);
        GuestImages images = new GuestImages(step -> System.err.println("torte: " + step));
        Path initrd = Files.createTempFile("torte-demo", ".cpio");
        try {
            images.initrd(interactive ? "" : SCRIPT, Map.of("torte/data", data), initrd);
            VirtualMachine.Builder builder = VirtualMachine.builder()
                    .kernel(kernel == null ? images.kernel(GuestImages.CLOUD_KERNEL) : Path.of(kernel))
                    .initrd(initrd)
                    .append("console=ttyS0 quiet")
                    .memory(Quantities.bytes("--memory", memory))
                    .processors(Quantities.integer("--processors", processors))
                    .hypervisor(hypervisor)
                    .consoleOutput(new FileOutputStream(FileDescriptor.out));
            try (VirtualMachine machine = builder.build()) {
                if (interactive) {
                    System.err.println("torte: a shell follows; Ctrl-A h shows the keys, poweroff or Ctrl-A x ends it");
                    return new ForegroundRun(machine, null, false, null, System.err).run();
                }
                return prove(machine, data);
            }
        } finally {
            Files.deleteIfExists(initrd);
        }
    }

    private static int prove(VirtualMachine machine, byte[] data) {
        machine.start();
        String digest = sha256(data);
        try {
            String text = machine.console().waitForText(Pattern.compile("sha256sum: .*-\\s*\\n"), PATIENCE);
            if (!text.contains(digest)) {
                throw new InputException("the guest computed another SHA-256 sum than the host's " + digest
                        + "; this is an error of Torte's, please report it");
            }
        } catch (TextNotFoundException e) {
            System.err.println("torte: the guest has not done its session; try torte run with the same kernel");
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

    private static String sha256(byte[] data) {
        try {
            return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(data));
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every JDK has SHA-256", e);
        }
    }
}
