package org.torte.hypervisor.software;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.VarHandle;
import java.util.function.LongUnaryOperator;
import org.jspecify.annotations.Nullable;

/**
 * Locked read-modify-write operations (Intel SDM vol. 3, section 9.1). On RAM within eight aligned bytes they are one
 * compare-and-set of the host; within a cache line, and for 16 bytes, one of {@link LockedInstructions}. Across cache
 * lines, on device memory, and where the host lacks those, all other processors stand still: the host's own split locks
 * would slow down everything on it, and some hosts answer them with a signal.
 */
final class Atomics {
    private static final int LINE = 64;
    private static final VarHandle LONG = JAVA_LONG.varHandle();
    private static final VarHandle INT = ValueLayout.JAVA_INT.varHandle();

    private final Cpu cpu;
    private final Mmu mmu;
    private final PhysicalMemory memory;
    private final Rendezvous rendezvous;
    private final @Nullable LockedInstructions host;

    /** What CMPXCHG16B found. */
    private final MemorySegment found = Arena.ofAuto().allocate(16, 16);

    /** With null for {@code host}, whatever Java cannot do itself makes the other processors stand still. */
    Atomics(Cpu cpu, PhysicalMemory memory, Rendezvous rendezvous, @Nullable LockedInstructions host) {
        this.cpu = cpu;
        this.mmu = cpu.mmu;
        this.memory = memory;
        this.rendezvous = rendezvous;
        this.host = host;
    }

    /**
     * Replaces the value at a linear address by what {@code change} makes of it (zero-extended in, low bytes out) and
     * returns what was there. {@code change} may be called several times and must leave the same flags for the same value.
     */
    long update(long address, int size, LongUnaryOperator change) {
        boolean single = (address & 7) + size <= 8 || host != null && (address & LINE - 1) + size <= LINE;
        long page = mmu.writablePage(address, size);
        if (page != Mmu.INVALID && single) {
            return updateRam(page + (address & 0xfff), size, change);
        }
        long physical = mmu.locate(address, size);
        if (single && memory.isRam(physical)) {
            long old = updateRam(physical, size, change);
            memory.written(physical, size);
            return old;
        }
        long[] old = new long[1];
        rendezvous.exclusively(cpu, () -> {
            // While this processor waited, another one may have flushed its translations.
            mmu.locate(address, size);
            old[0] = mmu.loadBack(size);
            mmu.storeBack(size, change.applyAsLong(old[0]));
        });
        return old[0];
    }

    private long updateRam(long physical, int size, LongUnaryOperator change) {
        MemorySegment ram = memory.ram;
        if (size == 8 && (physical & 7) == 0) {
            while (true) {
                long old = (long) LONG.getVolatile(ram, physical);
                if (LONG.compareAndSet(ram, physical, old, change.applyAsLong(old))) {
                    return old;
                }
            }
        }
        if (size == 4 && (physical & 3) == 0) {
            while (true) {
                int old = (int) INT.getVolatile(ram, physical);
                if (INT.compareAndSet(ram, physical, old, (int) change.applyAsLong(old & 0xffffffffL))) {
                    return old & 0xffffffffL;
                }
            }
        }
        if ((physical & 7) + size > 8) {
            return updateUnaligned(physical, size, change);
        }
        long word = physical & ~7L;
        int shift = 8 * (int) (physical & 7);
        long mask = Alu.zeroExtend(-1, size) << shift;
        while (true) {
            long whole = (long) LONG.getVolatile(ram, word);
            long old = (whole & mask) >>> shift;
            long changed = whole & ~mask | change.applyAsLong(old) << shift & mask;
            if (LONG.compareAndSet(ram, word, whole, changed)) {
                return old;
            }
        }
    }

    private long updateUnaligned(long physical, int size, LongUnaryOperator change) {
        LockedInstructions locked = java.util.Objects.requireNonNull(host);
        // The first read comes by Java: should the host be unable to give this page, it is Java that hears of it.
        long old = memory.readRam(physical, size);
        while (true) {
            long witness = locked.compareAndExchange(
                    memory.ram.address() + physical, size, old, Alu.zeroExtend(change.applyAsLong(old), size));
            if (witness == old) {
                return old;
            }
            old = witness;
        }
    }

    /**
     * CMPXCHG16B: compares 16 aligned bytes and replaces them if equal.
     *
     * @param values the low and high half that are expected; receives what was there
     * @return whether they were equal
     */
    boolean compareAndSet16(long address, boolean locked, long[] values, long low, long high) {
        long page = mmu.writablePage(address, 16);
        boolean free = page != Mmu.INVALID;
        long physical = free ? page + (address & 0xfff) : mmu.locate(address, 16);
        if (host != null && memory.isRam(physical)) {
            memory.readRam(physical, 8); // by Java first, as above
            boolean equal = host.compareAndSet16(
                    memory.ram.address() + physical, values[0], values[1], low, high, found.address());
            values[0] = found.get(JAVA_LONG, 0);
            values[1] = found.get(JAVA_LONG, 8);
            if (!free) {
                memory.written(physical, 16);
            }
            return equal;
        }
        boolean[] equal = new boolean[1];
        Runnable exchange = () -> {
            long now = mmu.locate(address, 16); // as above
            long foundLow = mmu.loadPhysical(now, 8);
            long foundHigh = mmu.loadPhysical(now + 8, 8);
            equal[0] = foundLow == values[0] && foundHigh == values[1];
            // The destination is written either way (Intel SDM, CMPXCHG16B).
            mmu.storePhysical(now, 8, equal[0] ? low : foundLow);
            mmu.storePhysical(now + 8, 8, equal[0] ? high : foundHigh);
            values[0] = foundLow;
            values[1] = foundHigh;
        };
        if (locked) {
            rendezvous.exclusively(cpu, exchange);
        } else {
            exchange.run();
        }
        return equal[0];
    }
}
