package org.torte.network.host;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** Network namespaces that a test makes for itself, and programs that run in them; all gone after {@link #close}. */
final class Namespaces implements AutoCloseable {
    private static int made;

    private final List<String> names = new ArrayList<>();
    private final List<Process> processes = new ArrayList<>();
    private final String prefix = "torte" + ProcessHandle.current().pid() + "x" + made++;

    /** Skips the test unless namespaces can be made and these programs are there. */
    Namespaces(String... programs) {
        assumeTrue(
                Files.isWritable(Path.of("/dev/net/tun")) && "root".equals(System.getProperty("user.name")),
                "needs root and /dev/net/tun");
        for (String program : programs) {
            assumeTrue(found(program), "needs " + program);
        }
    }

    private static boolean found(String program) {
        for (String folder : List.of("/usr/bin", "/usr/sbin", "/bin", "/sbin")) {
            if (Files.isExecutable(Path.of(folder, program))) {
                return true;
            }
        }
        return false;
    }

    /** A new namespace with its loopback interface up. */
    String add(String name) {
        String full = prefix + name;
        Result result = runAnyway(List.of("ip", "netns", "add", full));
        assumeTrue(result.status == 0, "network namespaces cannot be made here: " + result.output);
        names.add(full);
        run("ip", "-n", full, "link", "set", "lo", "up");
        return full;
    }

    record Result(int status, String output) {}

    /** Runs a program to its end and returns what it printed; it must succeed. */
    String run(String... command) {
        Result result = runAnyway(List.of(command));
        assertThat(result.status)
                .as("%s: %s", String.join(" ", command), result.output)
                .isZero();
        return result.output.strip();
    }

    Result runAnyway(List<String> command) {
        try {
            Process process =
                    new ProcessBuilder(command).redirectErrorStream(true).start();
            process.getOutputStream().close();
            String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            return new Result(process.waitFor(), output);
        } catch (IOException e) {
            throw new AssertionError(String.join(" ", command), e);
        } catch (InterruptedException e) {
            throw new AssertionError(e);
        }
    }

    String in(String namespace, String... command) {
        List<String> whole = new ArrayList<>(List.of("ip", "netns", "exec", namespace));
        whole.addAll(List.of(command));
        return run(whole.toArray(String[]::new));
    }

    /** Starts a program that goes on until {@link #close}. */
    void start(String namespace, String... command) {
        List<String> whole = new ArrayList<>(List.of("ip", "netns", "exec", namespace));
        whole.addAll(List.of(command));
        try {
            processes.add(new ProcessBuilder(whole)
                    .redirectErrorStream(true)
                    .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                    .start());
        } catch (IOException e) {
            throw new AssertionError(String.join(" ", whole), e);
        }
    }

    @Override
    public void close() {
        for (Process process : processes) {
            process.destroyForcibly();
            try {
                process.waitFor(20, TimeUnit.SECONDS);
            } catch (InterruptedException e) {
                throw new AssertionError(e);
            }
        }
        for (String name : names) {
            run("ip", "netns", "del", name);
        }
    }
}
