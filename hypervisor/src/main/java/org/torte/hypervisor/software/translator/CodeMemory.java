package org.torte.hypervisor.software.translator;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.VarHandle;
import org.jspecify.annotations.Nullable;

/**
 * Memory for machine code: a memory file mapped twice, once to write and once to execute, so that no page is ever both,
 * with an inaccessible page at either end of each mapping. Offsets count from the start of the code. Nothing of it costs
 * memory before it is written.
 */
@SuppressWarnings("restricted") // maps memory by way of the C library
final class CodeMemory {
    private static final int GUARD = 4096;
    private static final int NONE = 0, READ = 1, WRITE = 2, EXECUTE = 4;
    private static final int SHARED = 1, PRIVATE = 2, FIXED = 0x10, ANONYMOUS = 0x20, NORESERVE = 0x4000;
    private static final int CLOSE_ON_EXEC = 1;
    private static final VarHandle LONG = JAVA_LONG.varHandle();

    private final MemorySegment writable;
    private final long executable;

    private CodeMemory(MemorySegment writable, long executable) {
        this.writable = writable;
        this.executable = executable;
    }

    /** So many bytes, a multiple of the page size, or null where the host refuses executable memory. */
    static @Nullable CodeMemory map(int size) {
        try {
            MethodHandle create = function("memfd_create", FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_INT));
            MethodHandle truncate = function("ftruncate", FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_LONG));
            MethodHandle close = function("close", FunctionDescriptor.of(JAVA_INT, JAVA_INT));
            int file;
            try (Arena arena = Arena.ofConfined()) {
                file = (int) create.invokeExact(arena.allocateFrom("torte-code"), CLOSE_ON_EXEC);
            }
            if (file < 0) {
                return null;
            }
            long writable = 0;
            long executable = 0;
            if ((int) truncate.invokeExact(file, (long) size) == 0) {
                writable = mapGuarded(size, READ | WRITE, file);
                executable = mapGuarded(size, READ | EXECUTE, file);
            }
            int ignored = (int) close.invokeExact(file);
            if (writable == 0 || executable == 0) {
                return null;
            }
            return new CodeMemory(MemorySegment.ofAddress(writable).reinterpret(size), executable);
        } catch (Throwable e) {
            if (e instanceof Error error && !(e instanceof LinkageError)) {
                throw error;
            }
            return null;
        }
    }

    private static MethodHandle function(String name, FunctionDescriptor type) {
        Linker linker = Linker.nativeLinker();
        return linker.downcallHandle(linker.defaultLookup().findOrThrow(name), type);
    }

    /** Maps the file between two guard pages; 0 if that is refused. */
    private static long mapGuarded(int size, int protection, int file) throws Throwable {
        MethodHandle map = function(
                "mmap",
                FunctionDescriptor.of(JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_INT, JAVA_INT, JAVA_INT, JAVA_LONG));
        long around =
                (long) map.invokeExact(0L, (long) size + 2 * GUARD, NONE, PRIVATE | ANONYMOUS | NORESERVE, -1, 0L);
        if (around == -1) {
            return 0;
        }
        long at = (long) map.invokeExact(around + GUARD, (long) size, protection, SHARED | FIXED, file, 0L);
        return at == -1 ? 0 : at;
    }

    /** Gives the memory back. No code in it may execute any more. */
    void unmap() {
        try {
            MethodHandle unmap = function("munmap", FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG));
            long size = writable.byteSize() + 2 * GUARD;
            int ignored = (int) unmap.invokeExact(writable.address() - GUARD, size);
            ignored = (int) unmap.invokeExact(executable - GUARD, size);
        } catch (Throwable e) {
            throw new AssertionError(e);
        }
    }

    int size() {
        return (int) writable.byteSize();
    }

    /** Where code at this offset executes. */
    long address(int offset) {
        return executable + offset;
    }

    /** The offset of an address where code executes. */
    int offset(long address) {
        return (int) (address - executable);
    }

    void write(int offset, byte[] code, int length) {
        MemorySegment.copy(code, 0, writable, JAVA_BYTE, offset, length);
    }

    byte[] read(int offset, int length) {
        return writable.asSlice(offset, length).toArray(JAVA_BYTE);
    }

    long readLong(int offset) {
        return writable.get(java.lang.foreign.ValueLayout.JAVA_LONG_UNALIGNED, offset);
    }

    /**
     * Changes four bytes within eight aligned ones while code around them may execute; nobody else may change the others
     * meanwhile.
     */
    void patchInt(int offset, int value) {
        int shift = 8 * (offset & 7);
        if (shift > 32) {
            throw new IllegalArgumentException("the bytes at " + offset + " cannot be changed at once");
        }
        long old = readLong(offset & -8);
        patchLong(offset & -8, old & ~(0xffff_ffffL << shift) | (value & 0xffff_ffffL) << shift);
    }

    /** Changes eight aligned bytes while code around them may execute. */
    void patchLong(int offset, long value) {
        LONG.setRelease(writable, (long) offset, value);
    }
}
