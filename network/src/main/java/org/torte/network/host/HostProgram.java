package org.torte.network.host;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.torte.network.NetworkException;

/** A program of the host's administrator, such as {@code ip}. */
record HostProgram(String path) {
    /** How it ended. */
    record Result(int status, String output, String errors) {
        /** The first line of what it complains of, without whose answer that is. */
        String reason() {
            String line = errors.lines().findFirst().orElse("status " + status);
            return line.replaceFirst("^(RTNETLINK answers|Error): ", "");
        }
    }

    /** Looks for one, also where people's own PATH does not lead: in the folders of the administrator's programs. */
    static Optional<HostProgram> find(String name) {
        String own = System.getenv().getOrDefault("PATH", "");
        for (String folder : (own + ":/usr/sbin:/sbin:/usr/bin:/bin").split(":", -1)) {
            if (folder.startsWith("/") && Files.isExecutable(Path.of(folder, name))) {
                return Optional.of(new HostProgram(folder + "/" + name));
            }
        }
        return Optional.empty();
    }

    /**
     * Runs it to its end.
     *
     * @throws NetworkException when it cannot be run
     */
    Result run(List<String> arguments, String input) {
        List<String> command = new ArrayList<>(arguments);
        command.addFirst(path);
        try {
            ProcessBuilder builder = new ProcessBuilder(command);
            builder.environment().put("LC_ALL", "C");
            Process process = builder.start();
            try (OutputStream to = process.getOutputStream()) {
                to.write(input.getBytes(UTF_8));
            } catch (IOException e) {
                // It has ended before it read everything, and says why.
            }
            String output = new String(process.getInputStream().readAllBytes(), UTF_8);
            String errors = new String(process.getErrorStream().readAllBytes(), UTF_8);
            return new Result(process.waitFor(), output, errors);
        } catch (IOException e) {
            throw new NetworkException("the program " + path + " cannot be run: " + e.getMessage(), e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new NetworkException("interrupted while " + path + " runs", e);
        }
    }
}
