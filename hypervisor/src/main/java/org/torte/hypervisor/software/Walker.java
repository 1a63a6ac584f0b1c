package org.torte.hypervisor.software;

import static org.torte.hypervisor.software.Mmu.EXECUTE;
import static org.torte.hypervisor.software.Mmu.WRITE;

import java.lang.foreign.ValueLayout;
import java.lang.invoke.VarHandle;
import org.torte.hypervisor.software.Mmu.Privilege;

/**
 * The page walk (Intel SDM vol. 3, chapter 4): no paging, 32-bit, PAE and 4-level, with accessed and dirty bits set
 * atomically in guest memory.
 */
final class Walker {
    private static final long P = 1, W = 2, U = 4, A = 0x20, D = 0x40, PS = 0x80, G = 0x100, NX = 1L << 63;
    private static final int ERROR_P = 1, ERROR_W = 2, ERROR_U = 4, ERROR_RESERVED = 8, ERROR_I = 16;
    private static final long ADDRESS = 0x000f_ffff_ffff_f000L;

    private static final VarHandle LONG = ValueLayout.JAVA_LONG.varHandle();
    private static final VarHandle INT = ValueLayout.JAVA_INT.varHandle();

    private final Cpu cpu;
    private final PhysicalMemory memory;
    private final LargePages largePages = new LargePages();
    private boolean global;

    Walker(Cpu cpu, PhysicalMemory memory) {
        this.cpu = cpu;
        this.memory = memory;
    }

    /** The pages larger than 4 KiB that translations came from; whoever empties the TLBs clears it. */
    LargePages largePages() {
        return largePages;
    }

    /** Whether the last translation stays when CR3 is written (SDM vol. 3, section 4.10.2.4). */
    boolean isGlobal() {
        return global;
    }

    /** The guest-physical address, or #PF with CR2 set. */
    long walk(long address, int access, Privilege as) {
        global = false;
        if ((cpu.cr0 & Cpu.CR0_PG) == 0) {
            return address & 0xffffffffL;
        }
        if (cpu.longModeActive()) {
            return walk4(address, access, as);
        }
        return (cpu.cr4 & Cpu.CR4_PAE) != 0
                ? walkPae(address & 0xffffffffL, access, as)
                : walk32(address & 0xffffffffL, access, as);
    }

    private long walk4(long address, int access, Privilege as) {
        long reserved = reservedBits();
        long rights = W | U;
        long nx = 0;
        long table = cpu.cr3 & ADDRESS;
        for (int shift = 39; ; shift -= 9) {
            long at = table + (address >>> shift & 511) * 8;
            long entry = read64(at);
            if ((entry & P) == 0) {
                throw pageFault(address, access, as, 0);
            }
            boolean large = (entry & PS) != 0 && shift < 39 && shift > 12;
            if ((entry & reserved) != 0
                    || shift == 39 && (entry & PS) != 0
                    || large && (entry & (1L << shift) - 1 & ~0x1fffL) != 0) {
                throw pageFault(address, access, as, ERROR_P | ERROR_RESERVED);
            }
            rights &= entry;
            nx |= entry & NX;
            if (large || shift == 12) {
                check(address, access, as, rights, nx != 0);
                setBits(at, entry, access == WRITE ? A | D : A);
                long mask = (1L << shift) - 1;
                if (large) {
                    largePages.saw(address, shift);
                }
                global = isGlobal(entry);
                return entry & ADDRESS & ~mask | address & mask;
            }
            setBits(at, entry, A);
            table = entry & ADDRESS;
        }
    }

    private long walkPae(long address, int access, Privilege as) {
        long reserved = reservedBits() | 0x7ff0_0000_0000_0000L;
        long pointer = cpu.pdpte[(int) (address >>> 30)];
        if ((pointer & P) == 0) {
            throw pageFault(address, access, as, 0);
        }
        long directoryAt = (pointer & ADDRESS) + (address >>> 21 & 511) * 8;
        long directory = read64(directoryAt);
        if ((directory & P) == 0) {
            throw pageFault(address, access, as, 0);
        }
        boolean large = (directory & PS) != 0;
        if ((directory & reserved) != 0 || large && (directory & 0x1fe000) != 0) {
            throw pageFault(address, access, as, ERROR_P | ERROR_RESERVED);
        }
        if (large) {
            check(address, access, as, directory, (directory & NX) != 0);
            setBits(directoryAt, directory, access == WRITE ? A | D : A);
            largePages.saw(address, 21);
            global = isGlobal(directory);
            return directory & ADDRESS & ~0x1fffffL | address & 0x1fffff;
        }
        setBits(directoryAt, directory, A);
        long at = (directory & ADDRESS) + (address >>> 12 & 511) * 8;
        long entry = read64(at);
        if ((entry & P) == 0) {
            throw pageFault(address, access, as, 0);
        }
        if ((entry & reserved) != 0) {
            throw pageFault(address, access, as, ERROR_P | ERROR_RESERVED);
        }
        check(address, access, as, entry & directory, ((entry | directory) & NX) != 0);
        setBits(at, entry, access == WRITE ? A | D : A);
        global = isGlobal(entry);
        return entry & ADDRESS | address & 0xfff;
    }

    private long walk32(long address, int access, Privilege as) {
        long directoryAt = (cpu.cr3 & 0xfffff000L) + (address >>> 22) * 4;
        long directory = read32(directoryAt);
        if ((directory & P) == 0) {
            throw pageFault(address, access, as, 0);
        }
        if ((directory & PS) != 0 && (cpu.cr4 & Cpu.CR4_PSE) != 0) {
            // PSE-36: bits 13 to 20 are address bits 32 to 39; bit 21 and those beyond the width are reserved.
            long upper = directory >>> 13 & 0xff;
            if ((directory & 1 << 21) != 0 || upper >>> Math.min(8, Math.max(0, memory.addressBits - 32)) != 0) {
                throw pageFault(address, access, as, ERROR_P | ERROR_RESERVED);
            }
            check(address, access, as, directory, false);
            setBits32(directoryAt, directory, access == WRITE ? A | D : A);
            largePages.saw(address, 22);
            global = isGlobal(directory);
            return upper << 32 | directory & 0xffc00000L | address & 0x3fffff;
        }
        setBits32(directoryAt, directory, A);
        long at = (directory & 0xfffff000L) + (address >>> 12 & 1023) * 4;
        long entry = read32(at);
        if ((entry & P) == 0) {
            throw pageFault(address, access, as, 0);
        }
        check(address, access, as, entry & directory, false);
        setBits32(at, entry, access == WRITE ? A | D : A);
        global = isGlobal(entry);
        return entry & 0xfffff000L | address & 0xfff;
    }

    private boolean isGlobal(long entry) {
        return (entry & G) != 0 && (cpu.cr4 & Cpu.CR4_PGE) != 0;
    }

    /** Bits that must be zero in every PAE or 4-level entry: above the physical width, and NX while it is off. */
    private long reservedBits() {
        long above = 0x000f_ffff_ffff_ffffL & -1L << memory.addressBits;
        return (cpu.efer & Cpu.EFER_NXE) == 0 ? above | NX : above;
    }

    private void check(long address, int access, Privilege as, long rights, boolean nx) {
        boolean user = as == Privilege.USER;
        boolean userPage = (rights & U) != 0;
        boolean barred = as == Privilege.SUPERVISOR && userPage && (cpu.cr4 & Cpu.CR4_SMAP) != 0;
        boolean allowed = switch (access) {
            case WRITE -> !barred && ((rights & W) != 0 || !user && (cpu.cr0 & Cpu.CR0_WP) == 0);
            case EXECUTE -> !nx && (user || !userPage || (cpu.cr4 & Cpu.CR4_SMEP) == 0);
            default -> !barred;
        };
        if (!allowed || user && !userPage) {
            throw pageFault(address, access, as, ERROR_P);
        }
    }

    private GuestFault pageFault(long address, int access, Privilege as, int error) {
        cpu.cr2 = address;
        int code = error | (access == WRITE ? ERROR_W : 0) | (as == Privilege.USER ? ERROR_U : 0);
        if (access == EXECUTE && ((cpu.efer & Cpu.EFER_NXE) != 0 || (cpu.cr4 & Cpu.CR4_SMEP) != 0)) {
            code |= ERROR_I;
        }
        return cpu.fault(GuestFault.PF, code);
    }

    private long read64(long at) {
        return memory.isRam(at) ? (long) LONG.getAcquire(memory.ram, at) : memory.readDevice(cpu.index, at, 8);
    }

    private long read32(long at) {
        long value = memory.isRam(at) ? (int) INT.getAcquire(memory.ram, at) : memory.readDevice(cpu.index, at, 4);
        return value & 0xffffffffL;
    }

    private void setBits(long at, long entry, long bits) {
        boolean missing = (entry & bits) != bits && memory.isRam(at);
        if (missing && ((long) LONG.getAndBitwiseOr(memory.ram, at, bits) & bits) != bits) {
            memory.written(at, 8);
        }
    }

    private void setBits32(long at, long entry, long bits) {
        boolean missing = (entry & bits) != bits && memory.isRam(at);
        if (missing && ((int) INT.getAndBitwiseOr(memory.ram, at, (int) bits) & bits) != bits) {
            memory.written(at, 4);
        }
    }
}
