package org.torte.hypervisor.software;

import static org.torte.hypervisor.software.Cpu.CS;
import static org.torte.hypervisor.software.Cpu.SS;

import java.util.ArrayList;
import java.util.List;

/**
 * Delivery of exceptions, software and external interrupts in all modes (Intel SDM vol. 3, chapter 6). Everything is
 * checked and every stack address probed before the first register or byte changes.
 */
final class Interrupts {
    /** What an event is: whether gates are checked against the CPL, and which instruction pointer is saved. */
    private enum Kind {
        /** INT n, INT3, INTO. */
        SOFTWARE,
        EXCEPTION,
        EXTERNAL
    }

    private static final int GATE_INTERRUPT_16 = 6, GATE_TRAP_16 = 7, GATE_INTERRUPT = 14, GATE_TRAP = 15;

    private final Cpu cpu;
    private final Segmentation segmentation;
    private final TaskSwitch tasks;

    /** The vectors whose delivery failed last, each with the exception that the one before made. */
    final List<Integer> chain = new ArrayList<>();

    /** Exceptions and interrupts delivered so far. */
    long delivered;

    Interrupts(Cpu cpu, Segmentation segmentation) {
        this.cpu = cpu;
        this.segmentation = segmentation;
        tasks = new TaskSwitch(cpu, segmentation, this);
    }

    /** Hardware task switches, which IRET and far transfers make too. */
    TaskSwitch tasks() {
        return tasks;
    }

    /**
     * Delivers an exception; one that comes up on the way is handled in its place or makes a double fault (SDM vol. 3,
     * table 6-5).
     *
     * @return false for a triple fault: the processor shuts down
     */
    boolean exception(int vector, int errorCode) {
        int current = vector;
        int code = errorCode;
        chain.clear();
        while (true) {
            try {
                deliver(current, Kind.EXCEPTION, GuestFault.hasErrorCode(current), code);
                return true;
            } catch (GuestFault f) {
                chain.add(current);
                if (current == GuestFault.DF) {
                    chain.add(f.vector);
                    return false;
                }
                if (contributory(f.vector) && (contributory(current) || current == GuestFault.PF)
                        || f.vector == GuestFault.PF && current == GuestFault.PF) {
                    current = GuestFault.DF;
                    code = 0;
                } else {
                    current = f.vector;
                    code = f.errorCode;
                }
            }
        }
    }

    private static boolean contributory(int vector) {
        return vector == GuestFault.DE || vector >= GuestFault.TS && vector <= GuestFault.GP;
    }

    /** Delivers an external interrupt; false for a triple fault on the way. */
    boolean external(int vector) {
        try {
            deliver(vector, Kind.EXTERNAL, false, 0);
            return true;
        } catch (GuestFault f) {
            return exception(f.vector, f.errorCode);
        }
    }

    /** Delivers an NMI; others are blocked until IRET. False for a triple fault on the way. */
    boolean nmi() {
        cpu.setNmiBlocked(true);
        return external(GuestFault.NMI);
    }

    /** INT n: {@link Cpu#rip} is behind it. */
    void software(int vector) {
        if (cpu.virtual8086() && cpu.iopl() < 3) {
            throw cpu.gp(0);
        }
        deliver(vector, Kind.SOFTWARE, false, 0);
    }

    /** INT3 and INTO, which virtual-8086 mode lets through. */
    void trap(int vector) {
        deliver(vector, Kind.SOFTWARE, false, 0);
    }

    /** INT1: #DB without looking at the gate's privilege. */
    void debugInterrupt() {
        deliver(GuestFault.DB, Kind.EXTERNAL, false, 0);
    }

    private void deliver(int vector, Kind kind, boolean hasCode, int code) {
        try {
            if (!cpu.protectedMode()) {
                deliverReal(vector);
            } else if (cpu.longModeActive()) {
                deliverLong(vector, kind, hasCode, code);
            } else {
                deliverProtected(vector, kind, hasCode, code);
            }
        } catch (GuestFault f) {
            // The EXT bit: the program did not ask for the event that met this fault (SDM vol. 3, section 6.13).
            if (kind != Kind.SOFTWARE && contributory(f.vector)) {
                f.errorCode |= 1;
            }
            throw f;
        }
        delivered++;
    }

    /** The error code for a problem with an IDT entry. */
    private static int gateError(int vector) {
        return vector << 3 | 2;
    }

    /** RFLAGS as they are saved: faults set RF so that the instruction is not stopped by its breakpoint again. */
    private int savedFlags(int vector, Kind kind) {
        int flags = cpu.flags();
        return kind == Kind.EXCEPTION && vector != GuestFault.DB ? flags | Cpu.RF : flags;
    }

    // ---- real-address mode

    private void deliverReal(int vector) {
        if (vector * 4 + 3 > cpu.idtLimit) {
            throw cpu.gp(0);
        }
        long entry = cpu.mmu.loadSystem(cpu.idtBase + vector * 4L & 0xffffffffL, 4);
        Stack stack = new Stack(cpu);
        long sp = cpu.r[Cpu.RSP];
        try {
            stack.push(cpu.flags(), 2);
            stack.push(cpu.selector[CS], 2);
            stack.push(cpu.rip, 2);
        } catch (GuestFault f) {
            cpu.r[Cpu.RSP] = sp;
            throw f;
        }
        cpu.setSystemFlags(cpu.systemFlags & ~(Cpu.IF | Cpu.TF | Cpu.AC | Cpu.RF));
        segmentation.setReal(CS, (int) (entry >>> 16));
        cpu.rip = entry & 0xffff;
        cpu.modeChanged();
    }

    // ---- long mode

    private void deliverLong(int vector, Kind kind, boolean hasCode, int code) {
        int error = gateError(vector);
        if (vector * 16 + 15 > (cpu.idtLimit & 0xffff)) {
            throw cpu.gp(error);
        }
        long low = cpu.mmu.loadSystem(cpu.idtBase + vector * 16L, 8);
        long high = cpu.mmu.loadSystem(cpu.idtBase + vector * 16L + 8, 8);
        int type = Segmentation.type(low);
        if (!Segmentation.isSystem(low) || type != GATE_INTERRUPT && type != GATE_TRAP) {
            throw cpu.gp(error);
        }
        if (kind == Kind.SOFTWARE && Segmentation.privilege(low) < cpu.cpl) {
            throw cpu.gp(error);
        }
        if (!Segmentation.isPresent(low)) {
            throw cpu.fault(GuestFault.NP, error);
        }
        long target = low & 0xffff | low >>> 32 & 0xffff0000L | high << 32;
        int selector = (int) (low >>> 16) & 0xffff;
        long descriptor = handlerSegment(selector);
        if (!Segmentation.isLong(descriptor) || Segmentation.isBig(descriptor)) {
            throw cpu.gp(selector & 0xfffc);
        }
        int level = Segmentation.isConforming(descriptor) ? cpu.cpl : Segmentation.privilege(descriptor);
        int ist = (int) (low >>> 32) & 7;
        long sp;
        if (ist != 0) {
            sp = segmentation.taskField(28 + 8 * ist, 8);
        } else if (level < cpu.cpl) {
            sp = segmentation.taskField(4 + 8 * level, 8);
        } else {
            sp = cpu.r[Cpu.RSP];
        }
        if (sp << 16 >> 16 != sp) {
            throw cpu.fault(GuestFault.SS, 0);
        }
        sp &= ~15L;
        int size = hasCode ? 48 : 40;
        Mmu.Privilege as = cpu.pushPrivilege(level);
        long frame = sp - size;
        cpu.mmu.checkStoreAs(sp - 8, 8, as); // the push that comes first
        cpu.mmu.checkStoreAs(frame, size, as);
        long at = sp;
        cpu.mmu.storeAs(at -= 8, 8, cpu.selector[SS], as);
        cpu.mmu.storeAs(at -= 8, 8, cpu.r[Cpu.RSP], as);
        cpu.mmu.storeAs(at -= 8, 8, savedFlags(vector, kind), as);
        cpu.mmu.storeAs(at -= 8, 8, cpu.selector[CS], as);
        cpu.mmu.storeAs(at -= 8, 8, cpu.rip, as);
        if (hasCode) {
            cpu.mmu.storeAs(at - 8, 8, code & 0xffffffffL, as);
        }
        boolean inner = level < cpu.cpl;
        segmentation.setCode(selector, descriptor, level);
        cpu.r[Cpu.RSP] = frame;
        enterHandler(type == GATE_INTERRUPT, level, target);
        if (inner) {
            segmentation.setNull(SS, level);
        }
        cpu.modeChanged();
    }

    private void enterHandler(boolean interruptGate, int level, long target) {
        cpu.setSystemFlags(cpu.systemFlags & ~(Cpu.TF | Cpu.NT | Cpu.RF | Cpu.VM | (interruptGate ? Cpu.IF : 0)));
        cpu.setCpl(level);
        cpu.rip = target;
    }

    private long handlerSegment(int selector) {
        if ((selector & 0xfffc) == 0) {
            throw cpu.gp(0);
        }
        long descriptor = segmentation.descriptor(selector);
        if (!Segmentation.isCode(descriptor) || Segmentation.privilege(descriptor) > cpu.cpl) {
            throw cpu.gp(selector & 0xfffc);
        }
        if (!Segmentation.isPresent(descriptor)) {
            throw cpu.fault(GuestFault.NP, selector & 0xfffc);
        }
        return descriptor;
    }

    // ---- protected and virtual-8086 mode

    private void deliverProtected(int vector, Kind kind, boolean hasCode, int code) {
        int error = gateError(vector);
        if (vector * 8 + 7 > (cpu.idtLimit & 0xffff)) {
            throw cpu.gp(error);
        }
        long gate = cpu.mmu.loadSystem(cpu.idtBase + vector * 8L & 0xffffffffL, 8);
        int type = Segmentation.type(gate);
        boolean known = type == Segmentation.TYPE_TASK_GATE
                || type >= GATE_INTERRUPT_16 && type <= GATE_TRAP_16
                || type >= GATE_INTERRUPT;
        if (!Segmentation.isSystem(gate) || !known) {
            throw cpu.gp(error);
        }
        if (kind == Kind.SOFTWARE && Segmentation.privilege(gate) < cpu.cpl) {
            throw cpu.gp(error);
        }
        if (!Segmentation.isPresent(gate)) {
            throw cpu.fault(GuestFault.NP, error);
        }
        if (type == Segmentation.TYPE_TASK_GATE) {
            tasks.event(gate, savedFlags(vector, kind), hasCode, code);
            return;
        }
        int selector = (int) (gate >>> 16) & 0xffff;
        int width = type >= GATE_INTERRUPT ? 4 : 2;
        long target = width == 4 ? gate & 0xffff | gate >>> 32 & 0xffff0000L : gate & 0xffff;
        long descriptor = handlerSegment(selector);
        boolean fromVirtual = cpu.virtual8086();
        int level = Segmentation.isConforming(descriptor) ? cpu.cpl : Segmentation.privilege(descriptor);
        if (fromVirtual && level != 0) {
            throw cpu.gp(selector & 0xfffc);
        }
        if (Long.compareUnsigned(target, Segmentation.limit(descriptor) & 0xffffffffL) > 0) {
            throw cpu.gp(0);
        }
        long[] words = new long[10];
        int count = 0;
        boolean inner = level < cpu.cpl;
        if (inner) {
            if (fromVirtual) {
                words[count++] = cpu.selector[Cpu.GS];
                words[count++] = cpu.selector[Cpu.FS];
                words[count++] = cpu.selector[Cpu.DS];
                words[count++] = cpu.selector[Cpu.ES];
            }
            words[count++] = cpu.selector[SS];
            words[count++] = cpu.r[Cpu.RSP];
        }
        words[count++] = savedFlags(vector, kind);
        words[count++] = cpu.selector[CS];
        words[count++] = cpu.rip;
        if (hasCode) {
            words[count++] = code;
        }
        InnerStack stack = inner ? innerStack(level) : null;
        StackFrame frame = stack == null
                ? StackFrame.current(cpu)
                : new StackFrame(stack.pointer, stack.selector, stack.descriptor);
        frame.push(cpu, words, count, width, cpu.pushPrivilege(level));
        segmentation.setCode(selector, descriptor, level);
        if (stack != null) {
            segmentation.set(SS, stack.selector, stack.descriptor);
            cpu.r[Cpu.RSP] = frame.pointer;
        } else {
            frame.store(cpu);
        }
        if (fromVirtual) {
            for (int segment : new int[] {Cpu.GS, Cpu.FS, Cpu.DS, Cpu.ES}) {
                segmentation.setNull(segment, 0);
            }
        }
        enterHandler(type == GATE_INTERRUPT || type == GATE_INTERRUPT_16, level, target);
        cpu.modeChanged();
    }

    /** The stack of an inner privilege level from the task state segment, checked. */
    record InnerStack(int selector, long descriptor, long pointer) {}

    InnerStack innerStack(int level) {
        boolean wide = segmentation.wideTask();
        long pointer = wide ? segmentation.taskField(4 + 8 * level, 4) : segmentation.taskField(2 + 4 * level, 2);
        int selector =
                (int) (wide ? segmentation.taskField(8 + 8 * level, 2) : segmentation.taskField(4 + 4 * level, 2));
        if ((selector & 0xfffc) == 0) {
            throw cpu.fault(GuestFault.TS, 0);
        }
        long descriptor = segmentation.descriptor(selector, GuestFault.TS);
        segmentation.checkStack(selector, descriptor, level, GuestFault.TS);
        return new InnerStack(selector, descriptor, pointer);
    }
}
