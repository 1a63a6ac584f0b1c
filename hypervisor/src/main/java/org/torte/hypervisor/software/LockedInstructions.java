package org.torte.hypervisor.software;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.io.IOException;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The host's own LOCK CMPXCHG at any address and LOCK CMPXCHG16B, for which Java has no counterpart: a few bytes of
 * machine code in a page that is first writable, then executable, never both. Exists on x86-64 Linux hosts that let a
 * process have such a page. Safe for several threads.
 */
@SuppressWarnings("restricted") // calls machine code at addresses that Atomics has checked
final class LockedInstructions {
    private static final int PAGE = 4096;
    private static final int READ = 1, WRITE = 2, EXECUTE = 4;
    private static final int PRIVATE_ANONYMOUS = 0x22;

    /** Where the functions lie in the page; arguments are in rdi, rsi, rdx, rcx, r8, r9 (System V ABI). */
    private static final List<String> CODE = List.of(
            "4889f0f0660fb117c3", // mov rax,rsi; lock cmpxchg [rdi],dx; ret
            "4889f0f00fb117c3", // mov rax,rsi; lock cmpxchg [rdi],edx; ret
            "4889f0f0480fb117c3", // mov rax,rsi; lock cmpxchg [rdi],rdx; ret
            // push rbx; mov rax,rsi; mov rbx,rcx; mov rcx,r8; lock cmpxchg16b [rdi]
            // mov [r9],rax; mov [r9+8],rdx; sete al; movzx eax,al; pop rbx; ret
            "534889f04889cb4c89c1f0480fc70f498901498951080f94c00fb6c05bc3");

    private static final int SPACING = 64;

    private static final class Holder {
        static final @Nullable LockedInstructions INSTANCE = create();
    }

    private final MethodHandle exchange2;
    private final MethodHandle exchange4;
    private final MethodHandle exchange8;
    private final MethodHandle exchange16;

    private LockedInstructions(Linker linker, MemorySegment code) {
        FunctionDescriptor word = FunctionDescriptor.of(JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG);
        exchange2 = function(linker, code, 0, word);
        exchange4 = function(linker, code, 1, word);
        exchange8 = function(linker, code, 2, word);
        exchange16 = function(
                linker,
                code,
                3,
                FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG));
    }

    private static MethodHandle function(Linker linker, MemorySegment code, int number, FunctionDescriptor type) {
        // "Critical": the thread does not change its state for the few nanoseconds that this takes.
        return linker.downcallHandle(
                code.asSlice((long) number * SPACING, SPACING), type, Linker.Option.critical(false));
    }

    /** Those of this host, or null where they cannot be had. */
    static @Nullable LockedInstructions ofHost() {
        return Holder.INSTANCE;
    }

    private static @Nullable LockedInstructions create() {
        if (!System.getProperty("os.arch", "").equals("amd64") || !hostHasCmpxchg16b()) {
            return null;
        }
        try {
            Linker linker = Linker.nativeLinker();
            MethodHandle map = linker.downcallHandle(
                    linker.defaultLookup().findOrThrow("mmap"),
                    FunctionDescriptor.of(JAVA_LONG, ADDRESS, JAVA_LONG, JAVA_INT, JAVA_INT, JAVA_INT, JAVA_LONG));
            MethodHandle protect = linker.downcallHandle(
                    linker.defaultLookup().findOrThrow("mprotect"),
                    FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_LONG, JAVA_INT));
            long address =
                    (long) map.invokeExact(MemorySegment.NULL, (long) PAGE, READ | WRITE, PRIVATE_ANONYMOUS, -1, 0L);
            if (address == -1) {
                return null;
            }
            MemorySegment code = MemorySegment.ofAddress(address).reinterpret(PAGE);
            for (int i = 0; i < CODE.size(); i++) {
                byte[] bytes = HexFormat.of().parseHex(CODE.get(i));
                MemorySegment.copy(bytes, 0, code, JAVA_BYTE, (long) i * SPACING, bytes.length);
            }
            // Refused where a policy forbids code that was written at run time.
            if ((int) protect.invokeExact(code, (long) PAGE, READ | EXECUTE) != 0) {
                return null;
            }
            return new LockedInstructions(linker, code);
        } catch (Throwable e) {
            if (e instanceof Error error && !(e instanceof LinkageError)) {
                throw error;
            }
            return null;
        }
    }

    private static boolean hostHasCmpxchg16b() {
        try (var lines = Files.lines(Path.of("/proc/cpuinfo"))) {
            return lines.filter(line -> line.startsWith("flags"))
                    .findFirst()
                    .orElse("")
                    .contains(" cx16 ");
        } catch (IOException e) {
            return false;
        }
    }

    /**
     * Replaces 2, 4 or 8 bytes that lie in one cache line if they are what is expected.
     *
     * @param address in the host's memory, which must be mapped and writable
     * @return what was there, zero-extended
     */
    long compareAndExchange(long address, int size, long expected, long replacement) {
        try {
            return switch (size) {
                case 2 -> (long) exchange2.invokeExact(address, expected, replacement) & 0xffff;
                case 4 -> (long) exchange4.invokeExact(address, expected, replacement) & 0xffffffffL;
                default -> (long) exchange8.invokeExact(address, expected, replacement);
            };
        } catch (Throwable e) {
            throw new AssertionError(e);
        }
    }

    /**
     * Replaces 16 aligned bytes if they are what is expected.
     *
     * @param found the host's address of 16 bytes, which receive what was there
     * @return whether it was
     */
    boolean compareAndSet16(long address, long expectedLow, long expectedHigh, long low, long high, long found) {
        try {
            return (int) exchange16.invokeExact(address, expectedLow, expectedHigh, low, high, found) != 0;
        } catch (Throwable e) {
            throw new AssertionError(e);
        }
    }
}
