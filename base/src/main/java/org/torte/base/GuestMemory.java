package org.torte.base;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_INT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static java.lang.foreign.ValueLayout.JAVA_LONG_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_SHORT_UNALIGNED;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.StructLayout;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;

/**
 * The RAM of one virtual machine: a sparse memfd, mapped shared as one segment whose offsets are guest-physical
 * addresses. Holes in the memory map (below 4 GiB, for devices) are offsets that no {@link Bank} covers; like all other
 * memory they cost nothing until somebody writes there, and a wrong address throws or reaches an unused page of this
 * file, never memory of the host. The host backs it with huge pages where it gives shared memory those on request
 * (/sys/kernel/mm/transparent_hugepage/shmem_enabled: advise) or anyway.
 *
 * <p>Accesses by offset are unchecked against the banks (hypervisor and loaders do that once per page or range with
 * {@link #contains}); they are checked against the segment. Any thread may access; ordering is the caller's business.
 * Values are little-endian, at any alignment.
 */
public final class GuestMemory implements AutoCloseable {
    /** The size of a guest page in bytes. */
    public static final int PAGE_SIZE = 4096;

    /** Where RAM below 4 GiB ends at the latest (3 GiB); the rest of that space is for devices. */
    public static final long LOW_LIMIT = 3L << 30;

    /** Where RAM that does not fit below {@link #LOW_LIMIT} goes on. */
    public static final long HIGH_BASE = 4L << 30;

    /** A run of RAM in guest-physical memory: first address and length in bytes, both multiples of the page size. */
    public record Bank(long address, long length) {
        /** The first address after this bank. */
        public long end() {
            return address + length;
        }
    }

    private static final VarHandle INT =
            JAVA_INT.withOrder(ByteOrder.LITTLE_ENDIAN).varHandle();
    private static final int PROT_READ_WRITE = 3;
    private static final int MAP_SHARED_NORESERVE = 0x4001;
    private static final int MFD_CLOEXEC = 1;
    private static final int SEEK_DATA = 3;
    private static final int ENXIO = 6;

    private final long size;
    private final List<Bank> banks;
    private final int fileDescriptor;
    private final MemorySegment segment;
    private boolean closed;

    private GuestMemory(long size, List<Bank> banks, int fileDescriptor, MemorySegment segment) {
        this.size = size;
        this.banks = banks;
        this.fileDescriptor = fileDescriptor;
        this.segment = segment;
    }

    /**
     * Reserves RAM. Nothing is committed until it is written.
     *
     * @param size bytes of RAM, a positive multiple of {@link #PAGE_SIZE}
     * @throws OutOfMemoryError when the host has no address space or no memory file left
     */
    public static GuestMemory allocate(long size) {
        if (size <= 0 || size % PAGE_SIZE != 0) {
            throw new IllegalArgumentException("guest memory must be a positive multiple of 4096 bytes: " + size);
        }
        List<Bank> banks = new ArrayList<>();
        banks.add(new Bank(0, Math.min(size, LOW_LIMIT)));
        if (size > LOW_LIMIT) {
            banks.add(new Bank(HIGH_BASE, size - LOW_LIMIT));
        }
        long top = banks.getLast().end();
        int fd = Native.memfdCreate("torte-ram", MFD_CLOEXEC);
        try {
            Native.truncate(fd, top);
            MemorySegment mapped = Native.map(top, PROT_READ_WRITE, MAP_SHARED_NORESERVE, fd);
            Native.preferHugePages(mapped);
            return new GuestMemory(size, List.copyOf(banks), fd, mapped);
        } catch (OutOfMemoryError e) {
            Native.close(fd);
            throw e;
        }
    }

    /** Bytes of RAM, without holes. */
    public long size() {
        return size;
    }

    /** The first guest-physical address after all RAM. */
    public long top() {
        return segment.byteSize();
    }

    /** The banks of RAM, lowest first. */
    public List<Bank> banks() {
        return banks;
    }

    /** The memory file, for back-ends and other processes that map it themselves. It stays owned by this object. */
    public int fileDescriptor() {
        return fileDescriptor;
    }

    /** All guest-physical memory from 0 to {@link #top()}. Do not use it after {@link #close()}. */
    public MemorySegment segment() {
        return segment;
    }

    /** Whether all of the {@code length} bytes at {@code address} are RAM; wrapping ranges are not. */
    public boolean contains(long address, long length) {
        for (Bank bank : banks) {
            if (address >= bank.address && length >= 0 && address <= bank.end() && length <= bank.end() - address) {
                return true;
            }
        }
        return false;
    }

    /** The byte at {@code address}, zero-extended. */
    public int getByte(long address) {
        return segment.get(JAVA_BYTE, address) & 0xff;
    }

    /** The 16-bit value at {@code address}, zero-extended. */
    public int getShort(long address) {
        return segment.get(JAVA_SHORT_UNALIGNED, address) & 0xffff;
    }

    /** The 32-bit value at {@code address}. */
    public int getInt(long address) {
        return segment.get(JAVA_INT_UNALIGNED, address);
    }

    /** The 64-bit value at {@code address}. */
    public long getLong(long address) {
        return segment.get(JAVA_LONG_UNALIGNED, address);
    }

    /** Stores the low 8 bits of {@code value}. */
    public void putByte(long address, int value) {
        segment.set(JAVA_BYTE, address, (byte) value);
    }

    /** Stores the low 16 bits of {@code value}. */
    public void putShort(long address, int value) {
        segment.set(JAVA_SHORT_UNALIGNED, address, (short) value);
    }

    /** Stores a 32-bit value. */
    public void putInt(long address, int value) {
        segment.set(JAVA_INT_UNALIGNED, address, value);
    }

    /** Stores a 64-bit value. */
    public void putLong(long address, long value) {
        segment.set(JAVA_LONG_UNALIGNED, address, value);
    }

    /** The 32-bit value at {@code address}, a multiple of 4, as by a volatile field. */
    public int getIntVolatile(long address) {
        return (int) INT.getVolatile(segment, address);
    }

    /** Stores a 32-bit value at {@code address}, a multiple of 4, as to a volatile field. */
    public void putIntVolatile(long address, int value) {
        INT.setVolatile(segment, address, value);
    }

    /** Sets bits of the 32-bit value at {@code address}, a multiple of 4, in one step; returns what was there before. */
    public int getAndBitwiseOr(long address, int bits) {
        return (int) INT.getAndBitwiseOr(segment, address, bits);
    }

    /**
     * The first address from {@code from} on, a multiple of the page size, whose page may have been written since the
     * memory was allocated, or {@code limit}. Pages before it read as zeroes and occupy nothing; asking, unlike reading,
     * leaves them so.
     *
     * @param from a multiple of the page size
     * @param limit where to stop looking
     */
    public long nextData(long from, long limit) {
        if (from >= limit) {
            return limit;
        }
        return Math.min(limit, Native.seekData(fileDescriptor, from, limit) & -PAGE_SIZE);
    }

    /** Copies bytes out of guest memory. */
    public void read(long address, byte[] target, int offset, int length) {
        MemorySegment.copy(segment, JAVA_BYTE, address, target, offset, length);
    }

    /** Copies bytes into guest memory. */
    public void write(long address, byte[] source, int offset, int length) {
        MemorySegment.copy(source, offset, segment, JAVA_BYTE, address, length);
    }

    /** Fills all RAM with zeroes and gives its pages back to the host. No thread may be in an access. */
    public void clear() {
        Native.punchHole(fileDescriptor, 0, top());
    }

    /**
     * Fills whole pages with zeroes and gives them back to the host. Other threads may be in an access to them: each sees
     * what was there or zeroes, and what it writes meanwhile may be lost.
     *
     * @param address and length multiples of the page size, inside one bank
     */
    public void release(long address, long length) {
        if (((address | length) & PAGE_SIZE - 1) != 0 || !contains(address, length)) {
            throw new IllegalArgumentException("no whole pages of RAM: " + length + " bytes at " + address);
        }
        if (length > 0) {
            Native.punchHole(fileDescriptor, address, length);
        }
    }

    /**
     * Unmaps the memory and closes the file. No thread may be in an access, and none may come after it: the owner stops
     * every processor and device first. A second call does nothing.
     */
    @Override
    public synchronized void close() {
        if (!closed) {
            closed = true;
            Native.unmap(segment);
            Native.close(fileDescriptor);
        }
    }

    /** The system calls this class needs, by the foreign-function API. */
    private static final class Native {
        private static final Linker LINKER = Linker.nativeLinker();
        private static final StructLayout CAPTURE = Linker.Option.captureStateLayout();
        private static final VarHandle ERRNO =
                CAPTURE.varHandle(java.lang.foreign.MemoryLayout.PathElement.groupElement("errno"));
        private static final MethodHandle MEMFD_CREATE =
                downcall("memfd_create", FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_INT));
        private static final MethodHandle FTRUNCATE =
                downcall("ftruncate", FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_LONG));
        private static final int PUNCH_HOLE_KEEP_SIZE = 3;
        private static final MethodHandle FALLOCATE =
                downcall("fallocate", FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_INT, JAVA_LONG, JAVA_LONG));
        private static final MethodHandle MMAP = downcall(
                "mmap", FunctionDescriptor.of(JAVA_LONG, ADDRESS, JAVA_LONG, JAVA_INT, JAVA_INT, JAVA_INT, JAVA_LONG));
        private static final MethodHandle MUNMAP =
                downcall("munmap", FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_LONG));
        private static final int MADV_HUGEPAGE = 14;
        private static final MethodHandle MADVISE =
                downcall("madvise", FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_LONG, JAVA_INT));
        private static final MethodHandle LSEEK =
                downcall("lseek", FunctionDescriptor.of(JAVA_LONG, JAVA_INT, JAVA_LONG, JAVA_INT));
        private static final MethodHandle CLOSE = downcall("close", FunctionDescriptor.of(JAVA_INT, JAVA_INT));

        private static MethodHandle downcall(String name, FunctionDescriptor type) {
            return LINKER.downcallHandle(
                    LINKER.defaultLookup().findOrThrow(name), type, Linker.Option.captureCallState("errno"));
        }

        static long seekData(int fd, long from, long limit) {
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment state = arena.allocate(CAPTURE);
                long at = (long) LSEEK.invokeExact(state, fd, from, SEEK_DATA);
                if (at >= from) {
                    return at;
                }
                // ENXIO: no data follow. Whoever cannot answer the question says EINVAL: all may be data then.
                return (int) ERRNO.get(state, 0L) == ENXIO ? limit : from;
            } catch (Throwable e) {
                throw unexpected(e);
            }
        }

        static int memfdCreate(String name, int flags) {
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment state = arena.allocate(CAPTURE);
                int fd = (int) MEMFD_CREATE.invokeExact(state, arena.allocateFrom(name), flags);
                return require(fd, "memfd_create", state);
            } catch (Throwable e) {
                throw unexpected(e);
            }
        }

        static void truncate(int fd, long length) {
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment state = arena.allocate(CAPTURE);
                require((int) FTRUNCATE.invokeExact(state, fd, length), "ftruncate to " + length + " bytes", state);
            } catch (Throwable e) {
                throw unexpected(e);
            }
        }

        static void punchHole(int fd, long offset, long length) {
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment state = arena.allocate(CAPTURE);
                int result = (int) FALLOCATE.invokeExact(state, fd, PUNCH_HOLE_KEEP_SIZE, offset, length);
                require(result, "fallocate", state);
            } catch (Throwable e) {
                throw unexpected(e);
            }
        }

        static MemorySegment map(long length, int protection, int flags, int fd) {
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment state = arena.allocate(CAPTURE);
                long address = (long) MMAP.invokeExact(state, MemorySegment.NULL, length, protection, flags, fd, 0L);
                if (address == -1) {
                    throw failed("mmap of " + length + " bytes", state);
                }
                return MemorySegment.ofAddress(address).reinterpret(length);
            } catch (Throwable e) {
                throw unexpected(e);
            }
        }

        /** Asks for huge pages; a host that has none refuses, which changes nothing. */
        static void preferHugePages(MemorySegment segment) {
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment state = arena.allocate(CAPTURE);
                int _ = (int) MADVISE.invokeExact(state, segment, segment.byteSize(), MADV_HUGEPAGE);
            } catch (Throwable e) {
                throw unexpected(e);
            }
        }

        static void unmap(MemorySegment segment) {
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment state = arena.allocate(CAPTURE);
                require((int) MUNMAP.invokeExact(state, segment, segment.byteSize()), "munmap", state);
            } catch (Throwable e) {
                throw unexpected(e);
            }
        }

        static void close(int fd) {
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment state = arena.allocate(CAPTURE);
                require((int) CLOSE.invokeExact(state, fd), "close", state);
            } catch (Throwable e) {
                throw unexpected(e);
            }
        }

        private static int require(int result, String what, MemorySegment state) {
            if (result < 0) {
                throw failed(what, state);
            }
            return result;
        }

        private static OutOfMemoryError failed(String what, MemorySegment state) {
            return new OutOfMemoryError(
                    "the host refused guest memory: " + what + " failed with errno " + (int) ERRNO.get(state, 0L));
        }

        private static RuntimeException unexpected(Throwable e) {
            if (e instanceof Error error) {
                throw error;
            }
            throw new IllegalStateException("a system call could not be made", e);
        }
    }
}
