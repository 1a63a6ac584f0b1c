package org.torte.hypervisor.software;

import java.lang.foreign.MemorySegment;
import java.lang.invoke.VarHandle;
import java.util.concurrent.atomic.AtomicLongArray;
import org.jspecify.annotations.Nullable;
import org.torte.base.GuestMemory;
import org.torte.hypervisor.ExitHandler;
import org.torte.hypervisor.shared.IoApic;

/**
 * Guest-physical memory of one partition as its processors see it: RAM, the IOAPIC's registers, and the machine's
 * devices behind the exit handler. It is also the one place that hears of every page that becomes writable, so dirty
 * pages and translated code are both tracked here: a page whose writes must be noticed gets no write tag in any TLB.
 * Safe for several threads.
 */
final class PhysicalMemory {
    final GuestMemory memory;

    /** All of RAM; offsets are guest-physical addresses. */
    final MemorySegment ram;

    final CodeCache code;

    /** Bits of a physical address; what lies above is reserved in page tables. */
    final int addressBits;

    private final ExitHandler handler;
    private final IoApic ioApic;
    private final long lowTop;
    private final long highBase;
    private final long highTop;
    private volatile @Nullable AtomicLongArray dirty;

    PhysicalMemory(GuestMemory memory, int addressBits, ExitHandler handler, IoApic ioApic) {
        this.memory = memory;
        this.ram = memory.segment();
        this.addressBits = addressBits;
        this.handler = handler;
        this.ioApic = ioApic;
        this.code = new CodeCache(memory.top());
        GuestMemory.Bank low = memory.banks().getFirst();
        GuestMemory.Bank high = memory.banks().getLast();
        lowTop = low.end();
        highBase = high.address();
        highTop = high.end();
    }

    /** Whether this address is RAM; banks are made of whole pages, so the answer holds for its page. */
    boolean isRam(long address) {
        return Long.compareUnsigned(address, lowTop) < 0 || address >= highBase && address < highTop;
    }

    long readRam(long address, int size) {
        return switch (size) {
            case 1 -> memory.getByte(address);
            case 2 -> memory.getShort(address);
            case 4 -> memory.getInt(address) & 0xffffffffL;
            default -> memory.getLong(address);
        };
    }

    void writeRam(long address, int size, long value) {
        switch (size) {
            case 1 -> memory.putByte(address, (int) value);
            case 2 -> memory.putShort(address, (int) value);
            case 4 -> memory.putInt(address, (int) value);
            default -> memory.putLong(address, value);
        }
    }

    /** Reads what is not RAM and not the processor's own APIC. */
    long readDevice(int processor, long address, int size) {
        if (IoApic.claims(address)) {
            return ioApic.read(address, size);
        }
        return Alu.zeroExtend(handler.readMemory(processor, address, size), size);
    }

    /** Writes what is not RAM and not the processor's own APIC. */
    void writeDevice(int processor, long address, int size, long value) {
        if (IoApic.claims(address)) {
            ioApic.write(address, size, Alu.zeroExtend(value, size));
        } else {
            handler.writeMemory(processor, address, size, Alu.zeroExtend(value, size));
        }
    }

    // ---- who must hear of writes

    /** Whether stores to this page may bypass this class: it holds no code, and counts as dirty already if tracked. */
    boolean mayWriteFreely(long address) {
        return !code.holdsCode(address);
    }

    /**
     * To be called before a page becomes freely writable and after every store that bypassed a write tag: marks the page
     * dirty and drops code that the bytes belonged to.
     */
    void written(long address, long length) {
        // The store must be visible before the look at the flags. Who copies dirty pages does it the other way round
        // (takes
        // the flag, then reads), and so does a processor that decodes (flag, then bytes): one of the two sees the
        // other.
        VarHandle.fullFence();
        markDirty(address, length);
        long end = address + length;
        for (long a = address; a < end; a = (a | 0xfff) + 1) {
            if (code.holdsCode(a)) {
                code.invalidate(a, Math.min(end, (a | 0xfff) + 1));
            }
        }
    }

    void markDirty(long address, long length) {
        AtomicLongArray bits = dirty;
        if (bits == null) {
            return;
        }
        long last = address + length - 1 >>> 12;
        for (long page = address >>> 12; page <= last; page++) {
            int word = (int) (page >>> 6);
            long bit = 1L << page;
            if ((bits.getPlain(word) & bit) == 0) {
                bits.getAndUpdate(word, old -> old | bit);
            }
        }
    }

    void startDirtyTracking() {
        dirty = new AtomicLongArray((int) ((memory.top() >>> 12) + 63 >>> 6));
    }

    void stopDirtyTracking() {
        dirty = null;
    }

    long[] takeDirtyPages() {
        AtomicLongArray bits = dirty;
        if (bits == null) {
            throw new IllegalStateException("dirty pages are not tracked");
        }
        long[] taken = new long[bits.length()];
        for (int i = 0; i < taken.length; i++) {
            taken[i] = bits.getAndSet(i, 0);
        }
        return taken;
    }
}
