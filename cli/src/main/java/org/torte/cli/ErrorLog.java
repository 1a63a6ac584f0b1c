package org.torte.cli;

import java.io.IOException;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Instant;
import org.jspecify.annotations.Nullable;

/** Keeps the details of internal errors, which have no place on a user's terminal. */
final class ErrorLog {
    private ErrorLog() {}

    /** Appends a stack trace to the log and gives the log's path, or null when there is nowhere to write. */
    static @Nullable Path append(Throwable error) {
        Path file = path();
        try {
            Path folder = file.getParent();
            if (folder != null) {
                Files.createDirectories(folder);
            }
            try (PrintWriter writer = new PrintWriter(Files.newBufferedWriter(
                    file, StandardCharsets.UTF_8, StandardOpenOption.CREATE, StandardOpenOption.APPEND))) {
                writer.println(Instant.now() + " Java " + Runtime.version());
                error.printStackTrace(writer);
            }
            return file;
        } catch (IOException | SecurityException e) {
            return null;
        }
    }

    /** Where the XDG base directory specification wants logs. */
    private static Path path() {
        String state = System.getenv("XDG_STATE_HOME");
        Path base = state != null && state.startsWith("/")
                ? Path.of(state)
                : Path.of(System.getProperty("user.home", "/"), ".local", "state");
        return base.resolve("torte").resolve("errors.log");
    }
}
