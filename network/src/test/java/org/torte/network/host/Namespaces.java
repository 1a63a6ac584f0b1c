package org.torte.network.host;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.torte.network.posix.Posix;

/** Network namespaces that a test makes for itself, and programs that run in them; all gone after {@link #close}. */
public final class Namespaces implements AutoCloseable {
    private static final int NEW_NETWORK = 0x40000000, BOUNDING_SET_DROP = 24, NET_ADMIN = 12;
    private static int made;

    private final List<String> names = new ArrayList<>();
    private final List<Process> processes = new ArrayList<>();
    private final String prefix = "torte" + ProcessHandle.current().pid() + "x" + made++;

    /** Skips the test unless namespaces can be made and these programs are there. */
    public Namespaces(String... programs) {
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
    public String add(String name) {
        String full = prefix + name;
        Result result = runAnyway(List.of("ip", "netns", "add", full));
        assumeTrue(result.status == 0, "network namespaces cannot be made here: " + result.output);
        names.add(full);
        run("ip", "-n", full, "link", "set", "lo", "up");
        return full;
    }

    public record Result(int status, String output) {}

    /** Runs a program to its end and returns what it printed; it must succeed. */
    public String run(String... command) {
        Result result = runAnyway(List.of(command));
        assertThat(result.status)
                .as("%s: %s", String.join(" ", command), result.output)
                .isZero();
        return result.output.strip();
    }

    public Result runAnyway(List<String> command) {
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

    public String in(String namespace, String... command) {
        List<String> whole = new ArrayList<>(List.of("ip", "netns", "exec", namespace));
        whole.addAll(List.of(command));
        return run(whole.toArray(String[]::new));
    }

    /** Starts a program that goes on until {@link #close}. */
    public void start(String namespace, String... command) {
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

    /** What runs on a thread that is in a namespace, as are the programs that it starts and the interfaces that it makes. */
    public void within(String namespace, Runnable work) {
        Throwable[] failure = new Throwable[1];
        Thread thread = Thread.ofPlatform().start(() -> {
            try (Arena arena = Arena.ofConfined()) {
                Posix.Errno errno = new Posix.Errno(arena);
                int fd = Posix.open(errno, "/run/netns/" + namespace, Posix.O_CLOEXEC);
                assertThat(fd).as("opening the namespace %s", namespace).isNotNegative();
                assertThat(call("setns", fd, NEW_NETWORK))
                        .as("entering %s", namespace)
                        .isZero();
                Posix.close(fd);
                work.run();
            } catch (Throwable e) {
                failure[0] = e;
            }
        });
        try {
            thread.join();
        } catch (InterruptedException e) {
            throw new AssertionError(e);
        }
        switch (failure[0]) {
            case null -> {}
            case Error e -> throw e;
            case RuntimeException e -> throw e;
            case Throwable e -> throw new AssertionError(e);
        }
    }

    /**
     * Takes from this thread, and from the programs that it starts, the right to administer networks. It stays the owner of
     * its files.
     */
    public static void giveUpAdministration() {
        assertThat(call("prctl", BOUNDING_SET_DROP, NET_ADMIN)).isZero();
        try (Arena arena = Arena.ofConfined()) {
            // struct __user_cap_header_struct, and two of struct __user_cap_data_struct: effective, permitted,
            // inheritable
            MemorySegment header = arena.allocate(8, 8);
            header.set(JAVA_INT, 0, 0x20080522);
            MemorySegment data = arena.allocate(24, 8);
            MethodHandle get = handle("capget", FunctionDescriptor.of(JAVA_INT, ADDRESS, ADDRESS));
            MethodHandle set = handle("capset", FunctionDescriptor.of(JAVA_INT, ADDRESS, ADDRESS));
            assertThat((int) get.invokeExact(header, data)).isZero();
            for (int at = 0; at < 12; at += 4) {
                data.set(JAVA_INT, at, data.get(JAVA_INT, at) & ~(1 << NET_ADMIN));
            }
            assertThat((int) set.invokeExact(header, data)).isZero();
        } catch (Throwable e) {
            throw new AssertionError(e);
        }
    }

    private static int call(String name, int first, int second) {
        try {
            return (int) handle(name, FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_INT))
                    .invokeExact(first, second);
        } catch (Throwable e) {
            throw new AssertionError(e);
        }
    }

    private static MethodHandle handle(String name, FunctionDescriptor type) {
        Linker linker = Linker.nativeLinker();
        return linker.downcallHandle(linker.defaultLookup().findOrThrow(name), type);
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
