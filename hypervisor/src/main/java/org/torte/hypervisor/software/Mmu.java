package org.torte.hypervisor.software;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_LONG_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_SHORT_UNALIGNED;

import java.lang.foreign.MemorySegment;
import java.lang.invoke.VarHandle;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.torte.hypervisor.software.translator.PageFilter;
import org.torte.hypervisor.software.translator.SlotSet;
import org.torte.hypervisor.software.translator.StateArea;

/**
 * Linear memory of one processor: the soft TLB in front of the page walk, and the jump cache, which lives and dies with
 * it. Only the processor's own thread uses it, except for {@link #revokeWrite}.
 *
 * <p>Three TLBs, one for each {@link Privilege}. An entry is four words: the page's linear address for reads, for
 * writes and for fetches, or {@link #INVALID}, and what to add to a linear address to get the guest-physical one. An
 * access compares the page of its last byte, so one that crosses pages misses. Only RAM is ever entered.
 */
final class Mmu {
    static final int READ = 0, WRITE = 1, EXECUTE = 2;

    /** No page-aligned address equals it. */
    static final long INVALID = -1;

    private static final int ENTRIES = 4096;
    private static final int JUMP_ENTRIES = 32768;
    private static final long PAGE = -4096;

    /**
     * On whose behalf memory is accessed. SMAP (SDM vol. 3, section 4.6) keeps supervisors away from user pages, except
     * in what they do explicitly while AC is set.
     */
    enum Privilege {
        /** Also what the processor does by itself: descriptor tables, task state. */
        SUPERVISOR,
        /** Supervisor under SMAP with AC set. Not used without SMAP. */
        SUPERVISOR_OPEN,
        USER
    }

    /** Never filled: while alignment is checked every access takes the slow way. */
    private static final long[] EMPTY_TLB = newTlb();

    private final Cpu cpu;
    private final PhysicalMemory memory;
    private final MemorySegment ram;
    private final Walker walker;

    private final long[] supervisorTlb = newTlb();
    private final long[] openTlb = newTlb();
    private final long[] userTlb = newTlb();
    private final JumpCache supervisorJumps = new JumpCache();
    private final JumpCache userJumps = new JumpCache();

    // By privilege, the entries that a write to CR3 drops: those of pages that are not global.
    private final SlotSet supervisorLocals = new SlotSet(ENTRIES);
    private final SlotSet openLocals = new SlotSet(ENTRIES);
    private final SlotSet userLocals = new SlotSet(ENTRIES);

    /** The one of the current privilege. */
    private long[] tlb = supervisorTlb;

    private JumpCache jumps = supervisorJumps;
    private Privilege privilege = Privilege.SUPERVISOR;
    private boolean checksAlignment;
    private boolean dirtyUserTlb;
    private boolean dirtyOpenTlb;

    // Where {@link #storeBack} writes: what the last {@link #loadForStore} found.
    private long back;
    private long backSecond;
    private boolean backFree;

    /** For translated code, by privilege: what it sees of these TLBs. None when everything is interpreted. */
    private StateArea[] areas = {};

    /** How often the TLBs were emptied. */
    long flushes;

    /** Blocks by the address they start at. */
    static final class JumpCache {
        /** A non-canonical address: nothing can be executed there. */
        private static final long NEVER = 0x8000_0000_0000_0000L;

        private final long[] keys = new long[JUMP_ENTRIES];
        private final @Nullable Block[] blocks = new Block[JUMP_ENTRIES];
        private final SlotSet locals = new SlotSet(JUMP_ENTRIES);
        private final PageFilter pages = new PageFilter();

        JumpCache() {
            clear();
        }

        @Nullable
        Block find(long rip) {
            int i = slot(rip);
            return keys[i] == rip ? blocks[i] : null;
        }

        /** Enters a block; {@code local} when its page is not global. */
        void put(long rip, Block block, boolean local) {
            int i = slot(rip);
            blocks[i] = block;
            keys[i] = rip;
            locals.set(i, local);
            pages.add(rip);
        }

        /** Whether what begins at an address was entered as local, or not at all. */
        boolean isLocal(long rip) {
            int i = slot(rip);
            return keys[i] != rip || locals.contains(i);
        }

        void clear() {
            Arrays.fill(keys, NEVER);
            locals.clear();
            pages.clear();
        }

        /** Forgets what begins in the page of an address. */
        void clearPage(long address) {
            if (pages.mayContain(address)) {
                long page = address & PAGE;
                for (long rip = page; rip != page - PAGE; rip++) {
                    int i = slot(rip);
                    if (keys[i] == rip) {
                        keys[i] = NEVER;
                    }
                }
            }
        }

        void clearLocal() {
            locals.drain(i -> keys[i] = NEVER);
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

    /** The privilege of accesses has changed, or whether user accesses must be aligned (CR0.AM and the AC flag). */
    void setPrivilege(Privilege now, boolean aligned) {
        privilege = now;
        boolean isUser = now == Privilege.USER;
        checksAlignment = isUser && aligned;
        tlb = checksAlignment ? EMPTY_TLB : tlb(now);
        jumps = isUser ? userJumps : supervisorJumps;
        dirtyUserTlb |= isUser;
        dirtyOpenTlb |= now == Privilege.SUPERVISOR_OPEN;
    }

    private long[] tlb(Privilege of) {
        return switch (of) {
            case SUPERVISOR -> supervisorTlb;
            case SUPERVISOR_OPEN -> openTlb;
            case USER -> userTlb;
        };
    }

    private SlotSet locals(Privilege of) {
        return switch (of) {
            case SUPERVISOR -> supervisorLocals;
            case SUPERVISOR_OPEN -> openLocals;
            case USER -> userLocals;
        };
    }

    /** Forgets all translations. */
    void flush() {
        flushes++;
        walker.largePages().clear();
        Arrays.fill(supervisorTlb, INVALID);
        supervisorJumps.clear();
        if (dirtyUserTlb) {
            Arrays.fill(userTlb, INVALID);
            userJumps.clear();
            dirtyUserTlb = privilege == Privilege.USER;
        }
        if (dirtyOpenTlb) {
            Arrays.fill(openTlb, INVALID);
            dirtyOpenTlb = privilege == Privilege.SUPERVISOR_OPEN;
        }
        for (StateArea area : areas) {
            area.flush();
        }
    }

    /** Forgets all translations but those of global pages. */
    void flushLocal() {
        flushes++;
        supervisorLocals.drain(i -> Arrays.fill(supervisorTlb, 4 * i, 4 * i + 3, INVALID));
        openLocals.drain(i -> Arrays.fill(openTlb, 4 * i, 4 * i + 3, INVALID));
        userLocals.drain(i -> Arrays.fill(userTlb, 4 * i, 4 * i + 3, INVALID));
        supervisorJumps.clearLocal();
        userJumps.clearLocal();
        for (StateArea area : areas) {
            area.flushLocal();
        }
    }

    /** Whether the translation by which code at this address is fetched may be dropped by a write to CR3. */
    boolean isLocal(long address) {
        int i = slot(address);
        return tlb[i + 2] == (address & PAGE) ? locals(privilege).contains(i >> 2) : jumps.isLocal(address);
    }

    /** Forgets the translation of one page (and of the large page it may be part of). */
    void flushPage(long address) {
        if (walker.largePages().at(address)) {
            // Only 4 KiB pieces of a large page are entered, at any slot.
            flush();
            return;
        }
        int i = slot(address);
        Arrays.fill(supervisorTlb, i, i + 3, INVALID);
        Arrays.fill(openTlb, i, i + 3, INVALID);
        Arrays.fill(userTlb, i, i + 3, INVALID);
        supervisorJumps.clearPage(address);
        userJumps.clearPage(address);
        for (StateArea area : areas) {
            area.flushPage(address);
        }
    }

    /** Withdraws all permissions to write without asking, after code or dirty tracking has begun somewhere. */
    void flushWrites() {
        for (int i = 1; i < supervisorTlb.length; i += 4) {
            supervisorTlb[i] = INVALID;
            openTlb[i] = INVALID;
            userTlb[i] = INVALID;
        }
        for (StateArea area : areas) {
            area.flushWrites();
        }
    }

    void flushJumpCache() {
        supervisorJumps.clear();
        userJumps.clear();
        for (StateArea area : areas) {
            area.flushJumps();
        }
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
        boolean open = revokeWrite(openTlb, page);
        boolean found = revokeWrite(userTlb, page) || supervisor || open;
        // Whoever enters a page for translated code does that first and then looks here again.
        VarHandle.fullFence();
        for (StateArea area : areas) {
            found |= area.revokeWrite(ram.address() + page);
        }
        return found;
    }

    /** Makes the areas that translated code uses, by privilege; the processor does not run yet. */
    List<StateArea> createAreas() {
        areas = StateArea.create(cpu.events.forCode()).toArray(StateArea[]::new);
        return List.of(areas);
    }

    /** The area of the current privilege, or null when translated code must not run. */
    @Nullable
    StateArea area() {
        return checksAlignment ? null : area(privilege);
    }

    /** The area of a privilege. */
    StateArea area(Privilege of) {
        return switch (of) {
            case SUPERVISOR -> areas[0];
            case SUPERVISOR_OPEN -> areas[1];
            case USER -> areas[2];
        };
    }

    /** Enters the page of an access into the current {@link #area} if that is RAM which may be accessed so freely. */
    boolean fill(long address, int size, boolean store) {
        long page = address & PAGE;
        StateArea area = area();
        if ((address + size - 1 & PAGE) != page || area == null) {
            return false;
        }
        if (area.promote(page, store)) {
            return true;
        }
        long[] t = tlb;
        int i = slot(address);
        int tag = store ? i + 1 : i;
        if (t[tag] != page) {
            try {
                translate(address, store ? WRITE : READ, privilege);
            } catch (GuestFault f) {
                return false; // comes up again, exactly, when the instruction is interpreted
            }
            if (t[tag] != page) {
                return false;
            }
        }
        long physical = page + t[i + 3];
        // The first read comes by Java: should the host be unable to give this page, it is Java that hears of it.
        memory.readRam(physical, 1);
        boolean writable = t[i + 1] == page;
        area.enter(page, ram.address() + physical, writable, locals(privilege).contains(i >> 2));
        VarHandle.fullFence();
        if (writable && t[i + 1] != page) {
            area.revokeWrite(ram.address() + physical);
            return !store;
        }
        return true;
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
        return loadSlow(address, 1, privilege);
    }

    long load16(long address) {
        long[] t = tlb;
        int i = slot(address);
        if (t[i] == (address + 1 & PAGE)) {
            int value = ram.get(JAVA_SHORT_UNALIGNED, address + t[i + 3]);
            VarHandle.acquireFence();
            return value & 0xffff;
        }
        return loadSlow(address, 2, privilege);
    }

    long load32(long address) {
        long[] t = tlb;
        int i = slot(address);
        if (t[i] == (address + 3 & PAGE)) {
            int value = ram.get(JAVA_INT_UNALIGNED, address + t[i + 3]);
            VarHandle.acquireFence();
            return value & 0xffffffffL;
        }
        return loadSlow(address, 4, privilege);
    }

    long load64(long address) {
        long[] t = tlb;
        int i = slot(address);
        if (t[i] == (address + 7 & PAGE)) {
            long value = ram.get(JAVA_LONG_UNALIGNED, address + t[i + 3]);
            VarHandle.acquireFence();
            return value;
        }
        return loadSlow(address, 8, privilege);
    }

    void store8(long address, long value) {
        long[] t = tlb;
        int i = slot(address);
        if (t[i + 1] == (address & PAGE)) {
            VarHandle.releaseFence();
            ram.set(JAVA_BYTE, address + t[i + 3], (byte) value);
        } else {
            storeSlow(address, 1, value, privilege);
        }
    }

    void store16(long address, long value) {
        long[] t = tlb;
        int i = slot(address);
        if (t[i + 1] == (address + 1 & PAGE)) {
            VarHandle.releaseFence();
            ram.set(JAVA_SHORT_UNALIGNED, address + t[i + 3], (short) value);
        } else {
            storeSlow(address, 2, value, privilege);
        }
    }

    void store32(long address, long value) {
        long[] t = tlb;
        int i = slot(address);
        if (t[i + 1] == (address + 3 & PAGE)) {
            VarHandle.releaseFence();
            ram.set(JAVA_INT_UNALIGNED, address + t[i + 3], (int) value);
        } else {
            storeSlow(address, 4, value, privilege);
        }
    }

    void store64(long address, long value) {
        long[] t = tlb;
        int i = slot(address);
        if (t[i + 1] == (address + 7 & PAGE)) {
            VarHandle.releaseFence();
            ram.set(JAVA_LONG_UNALIGNED, address + t[i + 3], value);
        } else {
            storeSlow(address, 8, value, privilege);
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

    /**
     * Reads for a read-modify-write: faults as a store would. What is written back goes by {@link #storeBack}, before
     * anything else is accessed.
     */
    long loadForStore(long address, int size) {
        long[] t = tlb;
        int i = slot(address);
        if (t[i + 1] == (address + size - 1 & PAGE)) {
            back = address + t[i + 3];
            backFree = true;
            long value = memory.readRam(back, size);
            VarHandle.acquireFence();
            return value;
        }
        return loadForStoreSlow(address, size);
    }

    /**
     * Writes where the last {@link #loadForStore} read. Cannot fault, whatever other processors have done to the page
     * tables since: the flags and registers of the instruction may have changed already. (A page whose write tag is
     * withdrawn in between stays writable until the block ends, which the one who withdraws it waits for.)
     */
    void storeBack(int size, long value) {
        if (backFree) {
            VarHandle.releaseFence();
            memory.writeRam(back, size, value);
        } else {
            storeParts(back, backSecond, size, value);
        }
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
        checkAlignment(address, size, privilege);
        checkStoreAs(address, size, privilege);
    }

    /** #AC if user accesses must be aligned and this one is not; {@code size} is a power of two. */
    void checkAlignment(long address, int size) {
        if (checksAlignment && (address & size - 1) != 0) {
            checkCanonical(address);
            checkCanonical(address + size - 1);
            throw cpu.fault(GuestFault.AC, 0);
        }
    }

    private void checkCanonical(long address) {
        if (cpu.longModeActive() && address << 16 >> 16 != address) {
            throw cpu.fault.withNonCanonical();
        }
    }

    // ---- accesses that the processor makes by itself, as supervisor: descriptor tables, task state, exception frames

    long loadSystem(long address, int size) {
        long[] t = supervisorTlb;
        int i = slot(address);
        if (t[i] == (address + size - 1 & PAGE)) {
            return memory.readRam(address + t[i + 3], size);
        }
        return loadSlow(address, size, Privilege.SUPERVISOR);
    }

    void storeSystem(long address, int size, long value) {
        storeAs(address, size, value, Privilege.SUPERVISOR);
    }

    /** Writes with the given privilege. */
    void storeAs(long address, int size, long value, Privilege as) {
        long[] t = tlb(as);
        int i = slot(address);
        if (t[i + 1] == (address + size - 1 & PAGE)) {
            VarHandle.releaseFence();
            memory.writeRam(address + t[i + 3], size, value);
        } else {
            storeSlow(address, size, value, as);
        }
    }

    /** Faults now if a {@link #storeAs} to any of these bytes (1 to 4096) would. */
    void checkStoreAs(long address, int size, Privilege as) {
        long[] t = tlb(as);
        int i = slot(address);
        if (t[i + 1] != (address + size - 1 & PAGE)) {
            translate(address, WRITE, as);
            long last = address + size - 1;
            if ((last ^ address) >>> 12 != 0) {
                translate(wrap(last & PAGE), WRITE, as);
            }
        }
    }

    // ---- the slow way

    private void checkAlignment(long address, int size, Privilege as) {
        if (as == Privilege.USER && size <= 8) {
            checkAlignment(address, size);
        }
    }

    private long loadSlow(long address, int size, Privilege as) {
        checkAlignment(address, size, as);
        long first = translateFirst(address, size, READ, as);
        long second = translateSecond(address, size, READ, as);
        cpu.breakpoints.access(address, size, false);
        return loadParts(first, second, size);
    }

    private void storeSlow(long address, int size, long value, Privilege as) {
        checkAlignment(address, size, as);
        long first = translateFirst(address, size, WRITE, as);
        long second = translateSecond(address, size, WRITE, as);
        cpu.breakpoints.access(address, size, true);
        storeParts(first, second, size, value);
    }

    private long loadForStoreSlow(long address, int size) {
        locate(address, size);
        return loadBack(size);
    }

    /**
     * Prepares {@link #loadBack} and {@link #storeBack}: faults as a store would.
     *
     * @return the guest-physical address of the first byte
     */
    long locate(long address, int size) {
        checkAlignment(address, size, privilege);
        long first = translateFirst(address, size, WRITE, privilege);
        backSecond = translateSecond(address, size, WRITE, privilege);
        back = first;
        backFree = false;
        cpu.breakpoints.access(address, size, true);
        return first;
    }

    /** Reads what {@link #locate} found. */
    long loadBack(int size) {
        return loadParts(back, backSecond, size);
    }

    /** An access into the hole between the canonical halves is #GP, whatever its first page is. */
    private long translateFirst(long address, int size, int access, Privilege as) {
        checkCanonical(address + size - 1);
        return translate(address, access, as);
    }

    /** Where the bytes lie that an access has in the next page, or {@link #INVALID} if it has none. */
    private long translateSecond(long address, int size, int access, Privilege as) {
        long last = address + size - 1;
        return (last ^ address) >>> 12 == 0 ? INVALID : translate(wrap(last & PAGE), access, as);
    }

    private long loadParts(long first, long second, int size) {
        if (second == INVALID) {
            return loadPhysical(first, size);
        }
        int before = (int) (0x1000 - (first & 0xfff));
        long value = 0;
        for (int i = 0; i < size; i++) {
            value |= loadPhysical(i < before ? first + i : second + i - before, 1) << 8 * i;
        }
        return value;
    }

    private void storeParts(long first, long second, int size, long value) {
        if (second == INVALID) {
            storePhysical(first, size, value);
            return;
        }
        int before = (int) (0x1000 - (first & 0xfff));
        for (int i = 0; i < size; i++) {
            storePhysical(i < before ? first + i : second + i - before, 1, value >>> 8 * i);
        }
    }

    /** Linear addresses have 32 bits outside long mode. */
    private long wrap(long address) {
        return cpu.longModeActive() ? address : address & 0xffffffffL;
    }

    /** Reads 1, 2, 4 or 8 bytes of one page of guest-physical memory. */
    long loadPhysical(long address, int size) {
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

    /** Writes 1, 2, 4 or 8 bytes of one page of guest-physical memory. */
    void storePhysical(long address, int size, long value) {
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
        return translate(address, EXECUTE, privilege);
    }

    /**
     * The guest-physical address behind a linear one; enters it into the TLB if it is RAM.
     *
     * @throws GuestFault #PF, or #GP(0) for an address that is not canonical
     */
    private long translate(long address, int access, Privilege as) {
        checkCanonical(address);
        long physical = walker.walk(address, access, as);
        if (memory.isRam(physical)) {
            enter(address & PAGE, physical & PAGE, access, as);
        }
        return physical;
    }

    private void enter(long page, long physical, int access, Privilege as) {
        if (access != EXECUTE && cpu.breakpoints.watches(page)) {
            return;
        }
        long[] t = tlb(as);
        int i = slot(page);
        long addend = physical - page;
        SlotSet local = locals(as);
        if (local.contains(i >> 2) == walker.isGlobal()
                || t[i + 3] != addend
                || t[i] != page && t[i + 1] != page && t[i + 2] != page) {
            t[i] = INVALID;
            t[i + 1] = INVALID;
            t[i + 2] = INVALID;
            t[i + 3] = addend;
            local.set(i >> 2, !walker.isGlobal());
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
