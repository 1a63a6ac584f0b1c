package org.torte.testing;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.regex.Pattern;
import org.torte.hypervisor.TranslatorMode;
import org.torte.worker.ExitReport;
import org.torte.worker.TextNotFoundException;
import org.torte.worker.VirtualMachine;

/** A guest whose hot code is translated, in a JVM of its own, because an error in translated code ends the JVM. */
final class TranslatedGuest {
    private static final Duration PATIENCE = Duration.ofMinutes(5);

    private TranslatedGuest() {}

    /** Runs a guest until it has printed "P:end" and powered off; gives what its console showed. */
    static String console(Path kernel, Path initrd, int processors, long memory)
            throws IOException, InterruptedException {
        Process process = new ProcessBuilder(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "--enable-native-access=ALL-UNNAMED",
                        "-XX:+UseSerialGC",
                        "-XX:-CreateCoredumpOnCrash",
                        "-XX:ErrorFile=/dev/stdout",
                        "-cp",
                        System.getProperty("java.class.path"),
                        TranslatedGuest.class.getName(),
                        kernel.toString(),
                        initrd.toString(),
                        Integer.toString(processors),
                        Long.toString(memory))
                .redirectErrorStream(true)
                .start();
        String console = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(process.waitFor()).as("the exit status with%n%s", console).isZero();
        assertThat(console).contains("ended: " + new ExitReport.PoweredOff());
        assumeTrue(console.contains("translated: true"), "this host does not allow translated code");
        return console;
    }

    /** {@code KERNEL INITRD PROCESSORS MEMORY}: prints what the console shows until "P:end", then how the machine ended. */
    public static void main(String[] args) throws IOException {
        try (VirtualMachine machine = VirtualMachine.builder()
                .kernel(Path.of(args[0]))
                .initrd(Path.of(args[1]))
                .append(KernelWarnings.COMMAND_LINE)
                .processors(Integer.parseInt(args[2]))
                .memory(Long.parseLong(args[3]))
                .translator(TranslatorMode.ON)
                .build()) {
            machine.start();
            String console;
            try {
                console = machine.console().waitForText(Pattern.compile("P:end[^\\n]*\\n"), PATIENCE);
            } catch (TextNotFoundException e) {
                console = machine.console().readAvailable();
            }
            System.out.print(console);
            System.out.println();
            System.out.println("ended: " + machine.awaitExit(PATIENCE));
            System.out.println("translated: " + machine.translatorStatistics().isPresent());
        }
    }
}
