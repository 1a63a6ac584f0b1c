package org.torte.hypervisor.kvm;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.concurrent.atomic.AtomicLongArray;
import org.jspecify.annotations.Nullable;
import org.torte.base.GuestMemory;

/**
 * A machine's memory as KVM has it, one slot for each bank of RAM, and which of its pages have been written: by processors,
 * in KVM's dirty log, and by devices, here. Safe for several threads. What takes long for much memory holds up nobody else.
 */
final class MemorySlots implements AutoCloseable {
    /** struct kvm_userspace_memory_region. */
    private static final int SLOT = 0, FLAGS = 4, GUEST_ADDRESS = 8, LENGTH = 16, HOST_ADDRESS = 24, SIZE = 32;

    private static final int LOG_DIRTY_PAGES = 1;

    /** struct kvm_dirty_log. */
    private static final int LOG_SLOT = 0, BITMAP = 8, LOG_SIZE = 16;

    private final int machine;
    private final GuestMemory memory;
    private volatile @Nullable AtomicLongArray dirty;
    private boolean closed;

    /**
     * Gives KVM the memory.
     *
     * @param machine the machine's descriptor, which stays open until this is closed
     * @param memory its memory
     */
    MemorySlots(int machine, GuestMemory memory) {
        this.machine = machine;
        this.memory = memory;
        set(0);
    }

    private synchronized void set(int flags) {
        requireOpen();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment request = arena.allocate(SIZE, 8);
            int slot = 0;
            for (GuestMemory.Bank bank : memory.banks()) {
                request.set(JAVA_INT, SLOT, slot++);
                request.set(JAVA_INT, FLAGS, flags);
                request.set(JAVA_LONG, GUEST_ADDRESS, bank.address());
                request.set(JAVA_LONG, LENGTH, bank.length());
                request.set(JAVA_LONG, HOST_ADDRESS, memory.segment().address() + bank.address());
                Kvm.check(Linux.ioctl(machine, Kvm.SET_USER_MEMORY_REGION, request), "the guest's memory");
            }
        }
    }

    /** After the end the descriptor's number may be somebody else's. */
    private void requireOpen() {
        if (closed) {
            throw new IllegalStateException("the partition has been closed");
        }
    }

    void startTracking() {
        dirty = new AtomicLongArray((int) ((memory.top() >>> 12) + 63 >>> 6));
        set(LOG_DIRTY_PAGES);
    }

    void stopTracking() {
        set(0);
        dirty = null;
    }

    /** Somebody else than a processor has written. */
    void written(long address, long length) {
        AtomicLongArray bits = dirty;
        if (bits == null) {
            return;
        }
        long last = address + length - 1 >>> 12;
        for (long page = address >>> 12; page <= last; page++) {
            long bit = 1L << page;
            bits.getAndUpdate((int) (page >>> 6), old -> old | bit);
        }
    }

    /** A bit for each page that was written since tracking started or this was last called. */
    long[] takeDirtyPages() {
        AtomicLongArray bits = dirty;
        if (bits == null) {
            throw new IllegalStateException("dirty pages are not tracked");
        }
        long[] taken = new long[bits.length()];
        takeLog(taken);
        for (int i = 0; i < taken.length; i++) {
            taken[i] |= bits.getAndSet(i, 0);
        }
        return taken;
    }

    private synchronized void takeLog(long[] taken) {
        requireOpen();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment log = arena.allocate(8L * taken.length, 8);
            MemorySegment request = arena.allocate(LOG_SIZE, 8);
            int slot = 0;
            for (GuestMemory.Bank bank : memory.banks()) {
                request.set(JAVA_INT, LOG_SLOT, slot++);
                request.set(JAVA_LONG, BITMAP, log.address());
                Kvm.check(Linux.ioctl(machine, Kvm.GET_DIRTY_LOG, request), "KVM_GET_DIRTY_LOG");
                int first = (int) (bank.address() >>> 18);
                int words = (int) ((bank.length() >>> 12) + 63 >>> 6);
                for (int i = 0; i < words; i++) {
                    taken[first + i] |= log.getAtIndex(JAVA_LONG, i);
                }
            }
        }
    }

    /** Nobody reaches the machine through this any more. */
    @Override
    public synchronized void close() {
        closed = true;
    }
}
