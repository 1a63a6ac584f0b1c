package org.torte.machine.boot;

import static org.torte.hypervisor.CpuState.CS;
import static org.torte.hypervisor.CpuState.LDTR;
import static org.torte.hypervisor.CpuState.TR;

import java.util.Arrays;
import org.torte.base.GuestMemory;
import org.torte.hypervisor.CpuState;
import org.torte.hypervisor.CpuState.Segment;

/** The processor states in which boot protocols start a kernel, with the descriptors and page tables they need. */
final class StartState {
    /** Where the tables below are placed: the first page is left alone, for kernels that look for firmware data there. */
    private static final long TABLES_FROM = 0x1000;

    private static final int CODE_SELECTOR = 0x10;
    private static final int DATA_SELECTOR = 0x18;
    private static final int TASK_SELECTOR = 0x20;
    private static final int CODE_32 = 0xc09b;
    private static final int CODE_64 = 0xa09b;
    private static final int DATA = 0xc093;
    private static final int BUSY_TASK = 0x008b;

    private static final long CR0_PE = 1, CR0_ET = 1 << 4, CR0_PG = 1L << 31;
    private static final long CR4_PAE = 1 << 5;
    private static final long EFER_LME = 1 << 8, EFER_LMA = 1 << 10;
    private static final long PRESENT_WRITABLE = 3, LARGE = 1 << 7;

    private StartState() {}

    /** 32-bit protected mode, flat segments, no paging, interrupts off (multiboot 1, 3.2; PVH). */
    static CpuState protectedMode(RamLayout layout, long entry) {
        CpuState state = flat(layout, CODE_32);
        state.rip = entry;
        state.cr0 = CR0_PE | CR0_ET;
        return state;
    }

    /**
     * 64-bit mode with the lowest 4 GiB mapped to themselves, interrupts off (Linux boot.rst, "64-bit Boot Protocol").
     */
    static CpuState longMode(RamLayout layout, long entry) {
        CpuState state = flat(layout, CODE_64);
        state.rip = entry;
        state.cr3 = identityMap(layout);
        state.cr4 = CR4_PAE;
        state.efer = EFER_LME | EFER_LMA;
        state.cr0 = CR0_PE | CR0_ET | CR0_PG;
        return state;
    }

    private static CpuState flat(RamLayout layout, int code) {
        CpuState state = new CpuState();
        Arrays.fill(state.segments, new Segment(DATA_SELECTOR, 0, -1, DATA));
        state.segments[CS] = new Segment(CODE_SELECTOR, 0, -1, code);
        state.segments[LDTR] = new Segment(0, 0, 0, 0);
        state.segments[TR] = new Segment(TASK_SELECTOR, 0, 0x67, BUSY_TASK);
        GuestMemory memory = layout.memory();
        long table = layout.claimLow(5 * 8, 8, TABLES_FROM, "the boot descriptors");
        memory.putLong(table, 0);
        memory.putLong(table + 8, 0);
        memory.putLong(table + CODE_SELECTOR, descriptor(0xfffff, code));
        memory.putLong(table + DATA_SELECTOR, descriptor(0xfffff, DATA));
        memory.putLong(table + TASK_SELECTOR, descriptor(0x67, BUSY_TASK));
        state.gdtBase = table;
        state.gdtLimit = 5 * 8 - 1;
        return state;
    }

    /** A segment descriptor with base 0 (Intel SDM vol. 3, 3.4.5). */
    private static long descriptor(long limit, long attributes) {
        return limit & 0xffff | (limit >> 16 & 0xf) << 48 | (attributes & 0xff) << 40 | (attributes >> 12 & 0xf) << 52;
    }

    private static long identityMap(RamLayout layout) {
        GuestMemory memory = layout.memory();
        long page = GuestMemory.PAGE_SIZE;
        long root = layout.claimLow(6 * page, page, TABLES_FROM, "the boot page tables");
        layout.clear(root, 6 * page);
        long pointers = root + page;
        memory.putLong(root, pointers | PRESENT_WRITABLE);
        for (int gigabyte = 0; gigabyte < 4; gigabyte++) {
            long directory = root + (2 + gigabyte) * page;
            memory.putLong(pointers + 8L * gigabyte, directory | PRESENT_WRITABLE);
            for (int i = 0; i < 512; i++) {
                memory.putLong(directory + 8L * i, (512L * gigabyte + i) << 21 | LARGE | PRESENT_WRITABLE);
            }
        }
        return root;
    }
}
