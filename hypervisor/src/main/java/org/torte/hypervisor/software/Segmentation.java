package org.torte.hypervisor.software;

import static org.torte.hypervisor.software.Cpu.CS;
import static org.torte.hypervisor.software.Cpu.DS;
import static org.torte.hypervisor.software.Cpu.ES;
import static org.torte.hypervisor.software.Cpu.FS;
import static org.torte.hypervisor.software.Cpu.GS;
import static org.torte.hypervisor.software.Cpu.LDTR;
import static org.torte.hypervisor.software.Cpu.SS;
import static org.torte.hypervisor.software.Cpu.TR;

/**
 * Descriptors and segment registers (Intel SDM vol. 3, chapters 3 and 5). A descriptor is its eight bytes as one word.
 * Every method that faults does so before it changes a register.
 */
final class Segmentation {
    static final int TYPE_TSS_16_AVAILABLE = 1, TYPE_LDT = 2, TYPE_TASK_GATE = 5, TYPE_TSS_AVAILABLE = 9;
    static final int TYPE_CALL_GATE_16 = 4, TYPE_CALL_GATE_32 = 12;

    private final Cpu cpu;

    Segmentation(Cpu cpu) {
        this.cpu = cpu;
    }

    // ---- descriptors

    /** The descriptor of a selector that is not null; #GP(selector) outside its table. */
    long descriptor(int selector) {
        return descriptor(selector, GuestFault.GP);
    }

    /** The same with another exception for selectors outside their table. */
    long descriptor(int selector, int vector) {
        return cpu.mmu.loadSystem(descriptorAddress(selector, 8, vector), 8);
    }

    /** Where the descriptor of a selector is, all {@code size} bytes of it within its table. */
    long descriptorAddress(int selector, int size, int vector) {
        boolean local = (selector & 4) != 0;
        int offset = selector & 0xfff8;
        long limit = (local ? cpu.limit[LDTR] : cpu.gdtLimit) & 0xffffffffL;
        if (local && (cpu.attributes[LDTR] & Cpu.ATTRIBUTE_P) == 0 || offset + size - 1 > limit) {
            throw cpu.fault(vector, selector & 0xfffc);
        }
        return wrap((local ? cpu.r[Cpu.BASE + LDTR] : cpu.gdtBase) + offset);
    }

    private long wrap(long address) {
        return cpu.longModeActive() ? address : address & 0xffffffffL;
    }

    static int attributes(long descriptor) {
        return (int) (descriptor >>> 40) & 0xf0ff;
    }

    static int privilege(long descriptor) {
        return (int) (descriptor >>> 45) & 3;
    }

    static boolean isPresent(long descriptor) {
        return (descriptor & 1L << 47) != 0;
    }

    static boolean isSystem(long descriptor) {
        return (descriptor & 1L << 44) == 0;
    }

    static int type(long descriptor) {
        return (int) (descriptor >>> 40) & 15;
    }

    static boolean isCode(long descriptor) {
        return !isSystem(descriptor) && (type(descriptor) & 8) != 0;
    }

    static boolean isConforming(long descriptor) {
        return (type(descriptor) & 4) != 0;
    }

    static boolean isWritableData(long descriptor) {
        return !isSystem(descriptor) && (type(descriptor) & 10) == 2;
    }

    static boolean isReadable(long descriptor) {
        return !isSystem(descriptor) && (type(descriptor) & 10) != 8;
    }

    static boolean isLong(long descriptor) {
        return (descriptor & 1L << 53) != 0;
    }

    static boolean isBig(long descriptor) {
        return (descriptor & 1L << 54) != 0;
    }

    static long base(long descriptor) {
        return descriptor >>> 16 & 0xffffff | descriptor >>> 32 & 0xff000000L;
    }

    static int limit(long descriptor) {
        int raw = (int) (descriptor & 0xffff | descriptor >>> 32 & 0xf0000);
        return (descriptor & 1L << 55) != 0 ? raw << 12 | 0xfff : raw;
    }

    /** Sets the accessed bit in the table unless it is set. */
    private void touch(int selector, long descriptor) {
        if ((descriptor & 1L << 40) == 0) {
            long at = descriptorAddress(selector, 8, GuestFault.GP) + 5;
            cpu.mmu.storeSystem(at, 1, descriptor >>> 40 & 0xff | 1);
        }
    }

    // ---- registers

    /** Puts a checked descriptor into a register, and marks it accessed. */
    void set(int segment, int selector, long descriptor) {
        touch(selector, descriptor);
        cpu.selector[segment] = selector & 0xffff;
        cpu.r[Cpu.BASE + segment] = base(descriptor);
        cpu.limit[segment] = limit(descriptor);
        cpu.attributes[segment] = attributes(descriptor) | 1;
    }

    /** A null selector: unusable. */
    void setNull(int segment, int selector) {
        setNull(cpu, segment, selector);
    }

    /** Makes SS null as IRET to this level does. */
    static void setNullStack(Cpu cpu, int level) {
        setNull(cpu, SS, level);
    }

    private static void setNull(Cpu cpu, int segment, int selector) {
        cpu.selector[segment] = selector & 0xffff;
        cpu.r[Cpu.BASE + segment] = 0;
        cpu.limit[segment] = 0;
        cpu.attributes[segment] = segment == SS ? cpu.cpl << 5 : 0;
    }

    /** The selector as a paragraph: real-address and virtual-8086 mode. */
    void setReal(int segment, int selector) {
        cpu.selector[segment] = selector & 0xffff;
        cpu.r[Cpu.BASE + segment] = (selector & 0xffffL) << 4;
        if (cpu.virtual8086()) {
            cpu.limit[segment] = 0xffff;
            cpu.attributes[segment] = 0xf3;
        } else if (segment == CS) {
            cpu.limit[CS] = 0xffff;
            cpu.attributes[CS] = 0x9b;
        }
    }

    /** Loads ES, SS, DS, FS or GS as MOV, POP and LDS do. */
    void load(int segment, int selector) {
        if (cpu.realSegments()) {
            setReal(segment, selector);
        } else if (segment == SS && (selector & 0xfffc) == 0) {
            if (!cpu.longMode() || cpu.cpl == 3 || (selector & 3) != cpu.cpl) {
                throw cpu.gp(0);
            }
            setNull(segment, selector);
        } else {
            loadProtected(segment, selector, GuestFault.GP);
        }
        if (segment == SS) {
            cpu.modeChanged();
        }
    }

    /** Loads a segment register in protected mode; {@code vector} is #GP, or #TS in a task switch. */
    void loadProtected(int segment, int selector, int vector) {
        if ((selector & 0xfffc) == 0) {
            setNull(segment, selector);
            return;
        }
        long descriptor = descriptor(selector, vector);
        if (segment == SS) {
            checkStack(selector, descriptor, cpu.cpl, vector);
        } else {
            boolean conformingCode = isCode(descriptor) && isConforming(descriptor);
            int level = Math.max(cpu.cpl, selector & 3);
            if (!isReadable(descriptor) || !conformingCode && privilege(descriptor) < level) {
                throw cpu.fault(vector, selector & 0xfffc);
            }
            if (!isPresent(descriptor)) {
                throw cpu.fault(GuestFault.NP, selector & 0xfffc);
            }
        }
        set(segment, selector, descriptor);
    }

    /** Faults unless this is a stack segment for a privilege level. */
    void checkStack(int selector, long descriptor, int level, int vector) {
        if ((selector & 3) != level || privilege(descriptor) != level || !isWritableData(descriptor)) {
            throw cpu.fault(vector, selector & 0xfffc);
        }
        if (!isPresent(descriptor)) {
            throw cpu.fault(GuestFault.SS, selector & 0xfffc);
        }
    }

    /** Faults with #GP if a code segment asks for 64-bit and 32-bit operands at once. */
    void checkCodeSize(int selector, long descriptor) {
        if (cpu.longModeActive() && isLong(descriptor) && isBig(descriptor)) {
            throw cpu.gp(selector & 0xfffc);
        }
    }

    /** Sets CS to a checked descriptor at a privilege level. */
    void setCode(int selector, long descriptor, int level) {
        set(CS, selector & 0xfffc | level, descriptor);
    }

    /** After a return to less privilege, data segments that the new level may not use become null (SDM vol. 2, RET). */
    void dropPrivilegedData(int level) {
        for (int segment : new int[] {ES, DS, FS, GS}) {
            if (isPrivilegedData(cpu.attributes[segment], level)) {
                setNull(segment, 0);
            }
        }
    }

    private static boolean isPrivilegedData(int attributes, int level) {
        boolean conformingCode = (attributes & 0xc) == 0xc;
        return (attributes & Cpu.ATTRIBUTE_P) != 0 && !conformingCode && (attributes >> 5 & 3) < level;
    }

    /** Whether a return to user mode makes a data segment null. */
    static boolean hasPrivilegedData(Cpu cpu) {
        int[] attributes = cpu.attributes;
        return isPrivilegedData(attributes[ES], 3)
                || isPrivilegedData(attributes[DS], 3)
                || isPrivilegedData(attributes[FS], 3)
                || isPrivilegedData(attributes[GS], 3);
    }

    // ---- system segments

    /** Loads LDTR; {@code vector} is #GP, or #TS in a task switch, where it stands for #NP too. */
    void loadLdt(int selector, int vector) {
        if ((selector & 0xfffc) == 0) {
            setNull(LDTR, selector);
            return;
        }
        long at = systemDescriptor(selector, vector);
        long descriptor = cpu.mmu.loadSystem(at, 8);
        if (!isSystem(descriptor) || type(descriptor) != TYPE_LDT) {
            throw cpu.fault(vector, selector & 0xfffc);
        }
        setSystem(LDTR, selector, descriptor, at, vector == GuestFault.TS ? vector : GuestFault.NP);
    }

    /** LTR. */
    void loadTask(int selector) {
        if ((selector & 0xfffc) == 0) {
            throw cpu.gp(0);
        }
        long at = systemDescriptor(selector, GuestFault.GP);
        long descriptor = cpu.mmu.loadSystem(at, 8);
        int type = type(descriptor);
        boolean available = type == TYPE_TSS_AVAILABLE || type == TYPE_TSS_16_AVAILABLE && !cpu.longModeActive();
        if (!isSystem(descriptor) || !available) {
            throw cpu.gp(selector & 0xfffc);
        }
        long busy = descriptor | 2L << 40;
        if (isPresent(descriptor)) {
            cpu.mmu.checkStoreAs(at + 5, 1, Mmu.Privilege.SUPERVISOR);
        }
        setSystem(TR, selector, busy, at, GuestFault.NP);
        cpu.mmu.storeSystem(at + 5, 1, busy >>> 40 & 0xff);
    }

    /** Where the descriptor of a system segment is: in the GDT, and of 16 bytes in long mode. */
    private long systemDescriptor(int selector, int vector) {
        if ((selector & 4) != 0) {
            throw cpu.fault(vector, selector & 0xfffc);
        }
        return descriptorAddress(selector, cpu.longModeActive() ? 16 : 8, vector);
    }

    private void setSystem(int segment, int selector, long descriptor, long at, int vectorIfAbsent) {
        long upper = cpu.longModeActive() ? cpu.mmu.loadSystem(at + 8, 8) : 0;
        long base = base(descriptor) | upper << 32;
        if ((upper & 0x1f00_0000_0000L) != 0 || base << 16 >> 16 != base) {
            throw cpu.gp(selector & 0xfffc);
        }
        if (!isPresent(descriptor)) {
            throw cpu.fault(vectorIfAbsent, selector & 0xfffc);
        }
        cpu.selector[segment] = selector & 0xffff;
        cpu.r[Cpu.BASE + segment] = base;
        cpu.limit[segment] = limit(descriptor);
        cpu.attributes[segment] = attributes(descriptor);
    }

    /** Reads a field of the current task state segment; #TS(selector) beyond its limit. */
    long taskField(int offset, int size) {
        if (offset + size - 1 > (cpu.limit[TR] & 0xffffffffL)) {
            throw cpu.fault(GuestFault.TS, cpu.selector[TR] & 0xfffc);
        }
        return cpu.mmu.loadSystem(wrap(cpu.r[Cpu.BASE + TR] + offset), size);
    }

    /** Whether the current task state segment is the 32- or 64-bit kind. */
    boolean wideTask() {
        return (cpu.attributes[TR] & 8) != 0;
    }
}
