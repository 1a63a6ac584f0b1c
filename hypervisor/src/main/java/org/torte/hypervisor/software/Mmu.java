package org.torte.hypervisor.software;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_LONG_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_SHORT_UNALIGNED;

import java.lang.foreign.MemorySegment;
import java.lang.invoke.VarHandle;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * Linear memory of one processor: the soft TLB in front of the page walk, and the jump cache, which lives and dies with
 * it. Only the processor's own thread uses it, except for {@link #revokeWrite}.
 *
 * <p>Two TLBs, for supervisor and user privilege. An entry is four words: the page's linear address for reads, for
 * writes and for fetches, or {@link #INVALID}, and what to add to a linear address to get the guest-physical one. An
 * access compares the page of its last byte, so one that crosses pages misses. Only RAM is ever entered.
 */
final class Mmu {
    static final int READ = 0, WRITE = 1, EXECUTE = 2;

    /** No page-aligned address equals it. */
    static final long INVALID = -1;

    private static final int ENTRIES = 1024;
    private static final int JUMP_ENTRIES = 4096;
    private static final long PAGE = -4096;

    /** Never filled: while alignment is checked every access takes the slow way. */
    private static final long[] EMPTY_TLB = newTlb();

    private final Cpu cpu;
    private final PhysicalMemory memory;
    private final MemorySegment ram;
    private final Walker walker;

    private final long[] supervisorTlb = newTlb();
    private final long[] userTlb = newTlb();
    private final JumpCache supervisorJumps = new JumpCache();
    private final JumpCache userJumps = new JumpCache();

    /** The one of the current privilege. */
    private long[] tlb = supervisorTlb;

    private JumpCache jumps = supervisorJumps;
    private boolean user;
    private boolean checksAlignment;
    private boolean dirtyUserTlb;

    /** How often the TLBs were emptied. */
    long flushes;

    /** Blocks by the address they start at. */
    static final class JumpCache {
        private final long[] keys = new long[JUMP_ENTRIES];
        private final @Nullable Block[] blocks = new Block[JUMP_ENTRIES];

        JumpCache() {
            clear();
        }

        @Nullable
        Block find(long rip) {
            int i = slot(rip);
            return keys[i] == rip ? blocks[i] : null;
        }

        void put(long rip, Block block) {
            int i = slot(rip);
            blocks[i] = block;
            keys[i] = rip;
        }

        void clear() {
            // A non-canonical address: nothing can be executed there.
            Arrays.fill(keys, 0x8000_0000_0000_0000L);
        }

        private static int slot(long rip) {
            return (int) (rip ^ rip >>> 12) & JUMP_ENTRIES - 1;
        }
    }

    Mmu(Cpu cpu, PhysicalMemory memory) {
        this.cpu = cpu;
        this.memory = memory;
        this.ram = memory.ram;
        this.walker = new Walker(cpu, memory);
    }

    private static long[] newTlb() {
        long[] entries = new long[4 * ENTRIES];
        Arrays.fill(entries, INVALID);
        return entries;
    }

    /** All of RAM; offsets are guest-physical addresses. */
    MemorySegment ram() {
        return ram;
    }

    /** Bits of a physical address. */
    int physicalBits() {
        return memory.addressBits;
    }

    /** Reads guest-physical memory. */
    long readPhysical(long address, int size) {
        return loadPhysical(address, size);
    }

    /** Reads the four page directory pointers of PAE paging, all or none (SDM vol. 3, section 4.4.1); #GP(0). */
    void loadPageDirectoryPointers(long cr3) {
        long[] pointers = new long[4];
        long reserved = 0x1e6 | -1L << memory.addressBits;
        for (int i = 0; i < 4; i++) {
            pointers[i] = readPhysical((cr3 & 0xffff_ffe0L) + 8L * i, 8);
            if ((pointers[i] & 1) != 0 && (pointers[i] & reserved) != 0) {
                throw cpu.gp(0);
            }
        }
        System.arraycopy(pointers, 0, cpu.pdpte, 0, 4);
    }

    // ---- changes of what translation means

    /** Privilege has changed, or whether user accesses must be aligned (CR0.AM and the AC flag). */
    void setUser(boolean isUser, boolean aligned) {
        user = isUser;
        checksAlignment = isUser && aligned;
        tlb = checksAlignment ? EMPTY_TLB : isUser ? userTlb : supervisorTlb;
        jumps = isUser ? userJumps : supervisorJumps;
        dirtyUserTlb |= isUser;
    }

    /** Forgets all translations. */
    void flush() {
        flushes++;
        Arrays.fill(supervisorTlb, INVALID);
        supervisorJumps.clear();
        if (dirtyUserTlb) {
            Arrays.fill(userTlb, INVALID);
            userJumps.clear();
            dirtyUserTlb = user;
        }
    }

    /** Forgets the translation of one page (and of the large page it may be part of). */
    void flushPage(long address) {
        int i = slot(address);
        Arrays.fill(supervisorTlb, i, i + 3, INVALID);
        Arrays.fill(userTlb, i, i + 3, INVALID);
        if (walker.sawLargePages()) {
            // Only 4 KiB pieces of a large page are entered, at any slot.
            flush();
        } else {
            flushJumpCache();
        }
    }

    /** Withdraws all permissions to write without asking, after code or dirty tracking has begun somewhere. */
    void flushWrites() {
        for (int i = 1; i < supervisorTlb.length; i += 4) {
            supervisorTlb[i] = INVALID;
            userTlb[i] = INVALID;
        }
    }

    void flushJumpCache() {
        supervisorJumps.clear();
        userJumps.clear();
    }

    JumpCache jumps() {
        return jumps;
    }

    /**
     * Withdraws the permission to write one physical page without asking. Called by any thread; tells whether there was
     * one, in which case this processor may be about to use it until its next block boundary.
     */
    boolean revokeWrite(long page) {
        boolean supervisor = revokeWrite(supervisorTlb, page);
        return revokeWrite(userTlb, page) || supervisor;
    }

    private static boolean revokeWrite(long[] entries, long page) {
        boolean found = false;
        for (int i = 0; i < entries.length; i += 4) {
            long tag = entries[i + 1];
            if (tag != INVALID && tag + entries[i + 3] == page) {
                entries[i + 1] = INVALID;
                found = true;
            }
        }
        return found;
    }

    private static int slot(long address) {
        return (int) (address >>> 10) & 4 * ENTRIES - 4;
    }

    // ---- loads and stores of the current privilege

    long load8(long address) {
        long[] t = tlb;
        int i = slot(address);
        if (t[i] == (address & PAGE)) {
            int value = ram.get(JAVA_BYTE, address + t[i + 3]);
            VarHandle.acquireFence();
            return value & 0xff;
        }
        return loadSlow(address, 1, user);
    }

    long load16(long address) {
        long[] t = tlb;
        int i = slot(address);
        if (t[i] == (address + 1 & PAGE)) {
            int value = ram.get(JAVA_SHORT_UNALIGNED, address + t[i + 3]);
            VarHandle.acquireFence();
            return value & 0xffff;
        }
        return loadSlow(address, 2, user);
    }

    long load32(long address) {
        long[] t = tlb;
        int i = slot(address);
        if (t[i] == (address + 3 & PAGE)) {
            int value = ram.get(JAVA_INT_UNALIGNED, address + t[i + 3]);
            VarHandle.acquireFence();
            return value & 0xffffffffL;
        }
        return loadSlow(address, 4, user);
    }

    long load64(long address) {
        long[] t = tlb;
        int i = slot(address);
        if (t[i] == (address + 7 & PAGE)) {
            long value = ram.get(JAVA_LONG_UNALIGNED, address + t[i + 3]);
            VarHandle.acquireFence();
            return value;
        }
        return loadSlow(address, 8, user);
    }

    void store8(long address, long value) {
        long[] t = tlb;
        int i = slot(address);
        if (t[i + 1] == (address & PAGE)) {
            VarHandle.releaseFence();
            ram.set(JAVA_BYTE, address + t[i + 3], (byte) value);
        } else {
            storeSlow(address, 1, value, user);
        }
    }

    void store16(long address, long value) {
        long[] t = tlb;
        int i = slot(address);
        if (t[i + 1] == (address + 1 & PAGE)) {
            VarHandle.releaseFence();
            ram.set(JAVA_SHORT_UNALIGNED, address + t[i + 3], (short) value);
        } else {
            storeSlow(address, 2, value, user);
        }
    }

    void store32(long address, long value) {
        long[] t = tlb;
        int i = slot(address);
        if (t[i + 1] == (address + 3 & PAGE)) {
            VarHandle.releaseFence();
            ram.set(JAVA_INT_UNALIGNED, address + t[i + 3], (int) value);
        } else {
            storeSlow(address, 4, value, user);
        }
    }

    void store64(long address, long value) {
        long[] t = tlb;
        int i = slot(address);
        if (t[i + 1] == (address + 7 & PAGE)) {
            VarHandle.releaseFence();
            ram.set(JAVA_LONG_UNALIGNED, address + t[i + 3], value);
        } else {
            storeSlow(address, 8, value, user);
        }
    }

    /** Reads 1, 2, 4 or 8 bytes, zero-extended. */
    long load(long address, int size) {
        return switch (size) {
            case 1 -> load8(address);
            case 2 -> load16(address);
            case 4 -> load32(address);
            default -> load64(address);
        };
    }

    /** Writes 1, 2, 4 or 8 bytes. */
    void store(long address, int size, long value) {
        switch (size) {
            case 1 -> store8(address, value);
            case 2 -> store16(address, value);
            case 4 -> store32(address, value);
            default -> store64(address, value);
        }
    }

    /** Reads for a read-modify-write: faults as the later store would. */
    long loadForStore(long address, int size) {
        long[] t = tlb;
        int i = slot(address);
        if (t[i + 1] == (address + size - 1 & PAGE)) {
            long value = memory.readRam(address + t[i + 3], size);
            VarHandle.acquireFence();
            return value;
        }
        checkStore(address, size);
        return load(address, size);
    }

    /** The guest-physical page behind an address if all its bytes may be written without asking, or {@link #INVALID}. */
    long writablePage(long address, int size) {
        long[] t = tlb;
        int i = slot(address);
        return t[i + 1] == (address + size - 1 & PAGE) ? t[i + 1] + t[i + 3] : INVALID;
    }

    /** The guest-physical page behind an address if all its bytes are known to be readable RAM, or {@link #INVALID}. */
    long readablePage(long address, int size) {
        long[] t = tlb;
        int i = slot(address);
        return t[i] == (address + size - 1 & PAGE) ? t[i] + t[i + 3] : INVALID;
    }

    /** Faults now if a store to any of these bytes (1 to 4096) would. */
    void checkStore(long address, int size) {
        checkAlignment(address, size, user);
        checkStoreAs(address, size, user);
    }

    // ---- accesses that the processor makes by itself, as supervisor: descriptor tables, task state, exception frames

    long loadSystem(long address, int size) {
        long[] t = supervisorTlb;
        int i = slot(address);
        if (t[i] == (address + size - 1 & PAGE)) {
            return memory.readRam(address + t[i + 3], size);
        }
        return loadSlow(address, size, false);
    }

    void storeSystem(long address, int size, long value) {
        storeAs(address, size, value, false);
    }

    /** Writes with the given privilege. */
    void storeAs(long address, int size, long value, boolean asUser) {
        long[] t = asUser ? userTlb : supervisorTlb;
        int i = slot(address);
        if (t[i + 1] == (address + size - 1 & PAGE)) {
            VarHandle.releaseFence();
            memory.writeRam(address + t[i + 3], size, value);
        } else {
            storeSlow(address, size, value, asUser);
        }
    }

    /** Faults now if a {@link #storeAs} to any of these bytes (1 to 4096) would. */
    void checkStoreAs(long address, int size, boolean asUser) {
        long[] t = asUser ? userTlb : supervisorTlb;
        int i = slot(address);
        if (t[i + 1] != (address + size - 1 & PAGE)) {
            translate(address, WRITE, asUser);
            long last = address + size - 1;
            if ((last ^ address) >>> 12 != 0) {
                translate(wrap(last & PAGE), WRITE, asUser);
            }
        }
    }

    // ---- the slow way

    private void checkAlignment(long address, int size, boolean asUser) {
        if (checksAlignment && asUser && size <= 8 && (address & size - 1) != 0) {
            throw cpu.fault(GuestFault.AC, 0);
        }
    }

    private long loadSlow(long address, int size, boolean asUser) {
        checkAlignment(address, size, asUser);
        long last = address + size - 1;
        if ((last ^ address) >>> 12 == 0) {
            long physical = translate(address, READ, asUser);
            cpu.breakpoints.access(address, size, false);
            return loadPhysical(physical, size);
        }
        int first = (int) (0x1000 - (address & 0xfff));
        long low = translate(address, READ, asUser);
        long high = translate(wrap(address + first), READ, asUser);
        cpu.breakpoints.access(address, size, false);
        long value = 0;
        for (int i = 0; i < size; i++) {
            long at = i < first ? low + i : high + i - first;
            value |= loadPhysical(at, 1) << 8 * i;
        }
        return value;
    }

    private void storeSlow(long address, int size, long value, boolean asUser) {
        checkAlignment(address, size, asUser);
        long last = address + size - 1;
        if ((last ^ address) >>> 12 == 0) {
            long physical = translate(address, WRITE, asUser);
            cpu.breakpoints.access(address, size, true);
            storePhysical(physical, size, value);
            return;
        }
        int first = (int) (0x1000 - (address & 0xfff));
        long low = translate(address, WRITE, asUser);
        long high = translate(wrap(address + first), WRITE, asUser);
        cpu.breakpoints.access(address, size, true);
        for (int i = 0; i < size; i++) {
            storePhysical(i < first ? low + i : high + i - first, 1, value >>> 8 * i);
        }
    }

    /** Linear addresses have 32 bits outside long mode. */
    private long wrap(long address) {
        return cpu.longModeActive() ? address : address & 0xffffffffL;
    }

    private long loadPhysical(long address, int size) {
        if (memory.isRam(address)) {
            long value = memory.readRam(address, size);
            VarHandle.acquireFence();
            return value;
        }
        LocalApic local = cpu.apic;
        if ((address & PAGE) == local.pageAddress()) {
            return local.readMemory((int) address & 0xfff, size);
        }
        return memory.readDevice(cpu.index, address, size);
    }

    private void storePhysical(long address, int size, long value) {
        if (memory.isRam(address)) {
            VarHandle.releaseFence();
            memory.writeRam(address, size, value);
            memory.written(address, size);
            return;
        }
        LocalApic local = cpu.apic;
        if ((address & PAGE) == local.pageAddress()) {
            local.writeMemory((int) address & 0xfff, size, value);
        } else {
            memory.writeDevice(cpu.index, address, size, value);
        }
    }

    /** The guest-physical address behind a linear one that is to be executed. */
    long translateFetch(long address) {
        long[] t = tlb;
        int i = slot(address);
        if (t[i + 2] == (address & PAGE)) {
            return address + t[i + 3];
        }
        return translate(address, EXECUTE, user);
    }

    /**
     * The guest-physical address behind a linear one; enters it into the TLB if it is RAM.
     *
     * @throws GuestFault #PF, or #GP(0) for an address that is not canonical
     */
    long translate(long address, int access, boolean asUser) {
        if (cpu.longModeActive() && address << 16 >> 16 != address) {
            throw cpu.fault.withNonCanonical();
        }
        long physical = walker.walk(address, access, asUser);
        if (memory.isRam(physical)) {
            enter(address & PAGE, physical & PAGE, access, asUser);
        }
        return physical;
    }

    private void enter(long page, long physical, int access, boolean asUser) {
        if (access != EXECUTE && cpu.breakpoints.watches(page)) {
            return;
        }
        long[] t = asUser ? userTlb : supervisorTlb;
        int i = slot(page);
        long addend = physical - page;
        if (t[i + 3] != addend || t[i] != page && t[i + 1] != page && t[i + 2] != page) {
            t[i] = INVALID;
            t[i + 1] = INVALID;
            t[i + 2] = INVALID;
            t[i + 3] = addend;
        }
        if (access == EXECUTE) {
            t[i + 2] = page;
            return;
        }
        t[i] = page;
        if (access == WRITE && memory.mayWriteFreely(physical)) {
            t[i + 1] = page;
            memory.markDirty(physical, 1);
            // Whoever makes this a code page sets its flag, then looks for write tags; here it is the other way round.
            VarHandle.fullFence();
            if (!memory.mayWriteFreely(physical)) {
                t[i + 1] = INVALID;
            }
        }
    }
}
