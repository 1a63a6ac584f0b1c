package org.torte.disk.judge;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Assumptions;

/** Runs a judge: a program that nobody here wrote. A test that needs one that is missing is skipped, saying so. */
public final class Tool {
    private Tool() {}

    /** What a program said and how it ended. */
    public record Result(int status, String output) {}

    /** Runs it to its end. */
    public static Result run(Path folder, String... command) throws IOException, InterruptedException {
        Process process;
        try {
            process = new ProcessBuilder(List.of(command))
                    .directory(folder.toFile())
                    .redirectErrorStream(true)
                    .start();
        } catch (IOException e) {
            Assumptions.abort(command[0] + " is not installed, so what it would say is not compared");
            throw e;
        }
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        return new Result(process.waitFor(), output);
    }
}
