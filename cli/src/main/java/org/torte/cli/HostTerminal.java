package org.torte.cli;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.io.IOException;
import java.io.OutputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * The terminal on standard input, which can be switched to raw mode and back (termios(3)). The C library's
 * {@code cfmakeraw} knows what raw means, so the layout of its structure does not matter here. All methods may be called
 * by any thread, shutdown hooks included.
 *
 * <p>Whoever is killed cannot clean up; so a shell waits beside this process while the terminal is raw, and puts it back
 * if this process ends without having done so.
 */
public final class HostTerminal {
    private static final int STANDARD_INPUT = 0;
    /** Flushes nothing: what has been typed ahead stays. */
    private static final int TCSADRAIN = 1;
    /** More than any platform's struct termios has. */
    private static final int TERMIOS_BYTES = 256;

    private final MethodHandle set;
    private final MemorySegment original;
    private @Nullable Process guard;
    private boolean raw;

    private HostTerminal(MethodHandle set, MemorySegment original) {
        this.set = set;
        this.original = original;
    }

    /** The terminal on standard input, or null when that is none. */
    public static @Nullable HostTerminal find() {
        Linker linker = Linker.nativeLinker();
        MethodHandle get = linker.downcallHandle(
                linker.defaultLookup().findOrThrow("tcgetattr"), FunctionDescriptor.of(JAVA_INT, JAVA_INT, ADDRESS));
        MethodHandle set = linker.downcallHandle(
                linker.defaultLookup().findOrThrow("tcsetattr"),
                FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_INT, ADDRESS));
        MemorySegment attributes = Arena.global().allocate(TERMIOS_BYTES);
        try {
            return (int) get.invokeExact(STANDARD_INPUT, attributes) == 0 ? new HostTerminal(set, attributes) : null;
        } catch (Throwable e) {
            throw unexpected(e);
        }
    }

    /** Passes every key on as it is typed. */
    public synchronized void makeRaw() {
        if (raw) {
            return;
        }
        Linker linker = Linker.nativeLinker();
        MethodHandle makeRaw = linker.downcallHandle(
                linker.defaultLookup().findOrThrow("cfmakeraw"), FunctionDescriptor.ofVoid(ADDRESS));
        guard = startGuard();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment attributes = arena.allocate(TERMIOS_BYTES);
            attributes.copyFrom(original);
            makeRaw.invokeExact(attributes);
            raw = (int) set.invokeExact(STANDARD_INPUT, TCSADRAIN, attributes) == 0;
        } catch (Throwable e) {
            throw unexpected(e);
        }
    }

    /** Puts the terminal back as it was found. Does nothing when it is not raw. */
    public synchronized void restore() {
        if (!raw) {
            return;
        }
        raw = false;
        try {
            int _ = (int) set.invokeExact(STANDARD_INPUT, TCSADRAIN, original);
        } catch (Throwable e) {
            throw unexpected(e);
        }
        dismissGuard();
    }

    /** A shell that reads one line: without it, this process has gone without restoring the terminal. */
    private static @Nullable Process startGuard() {
        String script = "trap '' HUP INT TERM TTOU; modes=$(stty -g </dev/tty) || exit; echo ready;"
                + " read -r line || stty \"$modes\" </dev/tty";
        try {
            Process shell = new ProcessBuilder("/bin/sh", "-c", script)
                    .redirectError(ProcessBuilder.Redirect.DISCARD)
                    .start();
            // Its answer shows that it has noted the modes before they change.
            if (shell.getInputStream().read() < 0) {
                return null;
            }
            return shell;
        } catch (IOException e) {
            return null;
        }
    }

    private void dismissGuard() {
        Process shell = guard;
        guard = null;
        if (shell == null) {
            return;
        }
        try (OutputStream line = shell.getOutputStream()) {
            line.write("done\n".getBytes(StandardCharsets.US_ASCII));
            line.flush();
            shell.waitFor(1, TimeUnit.SECONDS);
        } catch (IOException e) {
            // It is gone already, and with it the need to tell it.
            shell.destroy();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private static IllegalStateException unexpected(Throwable e) {
        return new IllegalStateException("the terminal's modes could not be changed", e);
    }
}
