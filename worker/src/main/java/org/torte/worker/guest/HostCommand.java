package org.torte.worker.guest;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import org.torte.worker.InputException;

/** Runs programs of the host. For one thread. */
final class HostCommand {
    private static final int MINUTES = 30;

    private HostCommand() {}

    /**
     * Runs a program to its end, without input, and gives what it printed.
     *
     * @param folder where it runs
     * @param failure makes the error of a failed run from the lines that the program wrote to its standard error
     * @throws InputException what {@code failure} made
     */
    static String run(Path folder, List<String> command, Function<List<String>, InputException> failure)
            throws IOException {
        return run(folder, command, Map.of(), failure);
    }

    /** The same with more in the program's environment. */
    static String run(
            Path folder,
            List<String> command,
            Map<String, String> environment,
            Function<List<String>, InputException> failure)
            throws IOException {
        Path errors = Files.createTempFile("torte", ".errors");
        ProcessBuilder builder = new ProcessBuilder(command)
                .directory(folder.toFile())
                .redirectInput(ProcessBuilder.Redirect.from(Path.of("/dev/null").toFile()))
                .redirectError(errors.toFile());
        builder.environment().put("LC_ALL", "C");
        builder.environment().putAll(environment);
        Process process;
        try {
            process = builder.start();
        } catch (IOException e) {
            Files.deleteIfExists(errors);
            throw failure.apply(List.of(command.getFirst() + " is not installed"));
        }
        try {
            String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            if (!process.waitFor(MINUTES, TimeUnit.MINUTES) || process.exitValue() != 0) {
                throw failure.apply(Files.readString(errors, StandardCharsets.ISO_8859_1)
                        .lines()
                        .toList());
            }
            return output;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IOException("interrupted while waiting for " + command.getFirst(), e);
        } finally {
            process.destroy();
            Files.deleteIfExists(errors);
        }
    }

    /** The path of a program that administrators use, which a plain user's PATH may lack; the bare name if it is nowhere. */
    static String administrative(String program) {
        for (String folder : List.of("/usr/sbin", "/sbin", "/usr/bin", "/bin")) {
            Path path = Path.of(folder, program);
            if (Files.isExecutable(path)) {
                return path.toString();
            }
        }
        return program;
    }
}
