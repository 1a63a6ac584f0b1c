package org.torte.disk.judge;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Assumptions;

/** The judge for what QEMU does not read: libvhdi knows differencing images and sectors of 4096 bytes, but no logs. */
final class Libvhdi {
    private static final int READ = 1;

    private final Arena arena;
    private final SymbolLookup library;
    private final MemorySegment error;

    private Libvhdi(Arena arena, SymbolLookup library) {
        this.arena = arena;
        this.library = library;
        this.error = arena.allocate(ADDRESS);
    }

    /** All of a disk as libvhdi sees it; a test is skipped where there is none. */
    static byte[] content(List<Path> chain) {
        try (Arena arena = Arena.ofConfined()) {
            SymbolLookup library;
            try {
                library = SymbolLookup.libraryLookup("libvhdi.so.1", arena);
            } catch (IllegalArgumentException e) {
                Assumptions.abort("libvhdi is not installed, so what it would read is not compared");
                throw e;
            }
            return new Libvhdi(arena, library).read(chain);
        }
    }

    private byte[] read(List<Path> chain) {
        MemorySegment[] files = chain.stream().map(this::open).toArray(MemorySegment[]::new);
        for (int i = 0; i + 1 < files.length; i++) {
            succeed("libvhdi_file_set_parent_file", files[i], files[i + 1], error);
        }
        MemorySegment size = arena.allocate(JAVA_LONG);
        succeed("libvhdi_file_get_media_size", files[0], size, error);
        byte[] content = new byte[(int) size.get(JAVA_LONG, 0)];
        MemorySegment buffer = arena.allocate(1 << 20);
        for (int at = 0; at < content.length; at += (int) buffer.byteSize()) {
            int part = (int) Math.min(buffer.byteSize(), content.length - at);
            long count = at(files[0], buffer, part, at);
            if (count != part) {
                throw new AssertionError("libvhdi reads " + count + " of " + part + " bytes at " + at);
            }
            MemorySegment.copy(buffer, 0, MemorySegment.ofArray(content), at, part);
        }
        for (MemorySegment file : files) {
            // Closing answers 0, not 1.
            call("libvhdi_file_close", file, error);
        }
        return content;
    }

    private MemorySegment open(Path path) {
        MemorySegment file = arena.allocate(ADDRESS);
        succeed("libvhdi_file_initialize", file, error);
        MemorySegment opened = file.get(ADDRESS, 0);
        MethodHandle open =
                handle("libvhdi_file_open", FunctionDescriptor.of(JAVA_INT, ADDRESS, ADDRESS, JAVA_INT, ADDRESS));
        try {
            if ((int) open.invoke(opened, arena.allocateFrom(path.toString()), READ, error) != 1) {
                throw new AssertionError("libvhdi does not open " + path);
            }
        } catch (Throwable e) {
            throw new AssertionError("libvhdi_file_open " + path, e);
        }
        return opened;
    }

    private long at(MemorySegment file, MemorySegment buffer, long length, long offset) {
        MethodHandle read = handle(
                "libvhdi_file_read_buffer_at_offset",
                FunctionDescriptor.of(JAVA_LONG, ADDRESS, ADDRESS, JAVA_LONG, JAVA_LONG, ADDRESS));
        try {
            return (long) read.invoke(file, buffer, length, offset, error);
        } catch (Throwable e) {
            throw new AssertionError("libvhdi_file_read_buffer_at_offset", e);
        }
    }

    private void succeed(String name, Object... arguments) {
        if (call(name, arguments) != 1) {
            throw new AssertionError(name + " failed");
        }
    }

    private int call(String name, Object... arguments) {
        try {
            return (int) handle(name, addresses(arguments.length)).invokeWithArguments(arguments);
        } catch (Throwable e) {
            throw new AssertionError(name, e);
        }
    }

    /** A function of addresses. */
    private static FunctionDescriptor addresses(int count) {
        FunctionDescriptor type = FunctionDescriptor.of(JAVA_INT);
        for (int i = 0; i < count; i++) {
            type = type.appendArgumentLayouts(ADDRESS);
        }
        return type;
    }

    private MethodHandle handle(String name, FunctionDescriptor type) {
        return Linker.nativeLinker().downcallHandle(library.findOrThrow(name), type);
    }
}
