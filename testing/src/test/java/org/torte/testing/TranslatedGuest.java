package org.torte.testing;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.regex.Pattern;
import org.torte.hypervisor.TranslatorMode;
import org.torte.worker.TextNotFoundException;
import org.torte.worker.VirtualMachine;

/** A guest whose hot code is translated, in a JVM of its own, because an error in translated code ends the JVM. */
final class TranslatedGuest {
    private static final Duration PATIENCE = Duration.ofMinutes(5);

    private TranslatedGuest() {}

    /** {@code KERNEL INITRD PROCESSORS}: prints what the console shows until "P:end", then how the machine ended. */
    public static void main(String[] args) throws IOException {
        try (VirtualMachine machine = VirtualMachine.builder()
                .kernel(Path.of(args[0]))
                .initrd(Path.of(args[1]))
                .append(KernelWarnings.COMMAND_LINE)
                .processors(Integer.parseInt(args[2]))
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
