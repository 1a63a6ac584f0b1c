package org.torte.hypervisor.software;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.VarHandle;
import java.util.function.LongUnaryOperator;

/**
 * Locked read-modify-write operations (Intel SDM vol. 3, section 9.1). Within eight aligned bytes they are one
 * compare-and-set of the host on RAM; across that boundary, and on device memory, all other processors stand still.
 */
final class Atomics {
    private static final VarHandle LONG = ValueLayout.JAVA_LONG.varHandle();
    private static final VarHandle INT = ValueLayout.JAVA_INT.varHandle();

    private final Cpu cpu;
    private final Mmu mmu;
    private final PhysicalMemory memory;
    private final Rendezvous rendezvous;

    Atomics(Cpu cpu, PhysicalMemory memory, Rendezvous rendezvous) {
        this.cpu = cpu;
        this.mmu = cpu.mmu;
        this.memory = memory;
        this.rendezvous = rendezvous;
    }

    /**
     * Replaces the value at a linear address by what {@code change} makes of it (zero-extended in, low bytes out) and
     * returns what was there. {@code change} may be called several times and must leave the same flags for the same value.
     */
    long update(long address, int size, LongUnaryOperator change) {
        long page = mmu.writablePage(address, size);
        if (page != Mmu.INVALID && (address & 7) + size <= 8) {
            return updateRam(page + (address & 0xfff), size, change);
        }
        mmu.checkStore(address, size);
        if ((address & 7) + size <= 8) {
            long physical = mmu.translate(address, Mmu.WRITE, cpu.cpl == 3);
            if (memory.isRam(physical)) {
                long old = updateRam(physical, size, change);
                memory.written(physical, size);
                return old;
            }
        }
        long[] old = new long[1];
        rendezvous.exclusively(cpu, () -> {
            old[0] = mmu.load(address, size);
            mmu.store(address, size, change.applyAsLong(old[0]));
        });
        return old[0];
    }

    private long updateRam(long physical, int size, LongUnaryOperator change) {
        MemorySegment ram = memory.ram;
        if (size == 8) {
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

    /**
     * CMPXCHG16B: compares 16 aligned bytes and replaces them if equal.
     *
     * @param found receives the low and high half that were there
     * @return whether they were equal
     */
    boolean compareAndSet16(long address, boolean locked, long[] expected, long low, long high, long[] found) {
        mmu.checkStore(address, 16);
        Runnable exchange = () -> {
            found[0] = mmu.load64(address);
            found[1] = mmu.load64(address + 8);
            boolean equal = found[0] == expected[0] && found[1] == expected[1];
            // The destination is written either way (Intel SDM, CMPXCHG16B).
            mmu.store64(address, equal ? low : found[0]);
            mmu.store64(address + 8, equal ? high : found[1]);
        };
        if (locked) {
            rendezvous.exclusively(cpu, exchange);
        } else {
            exchange.run();
        }
        return found[0] == expected[0] && found[1] == expected[1];
    }
}
