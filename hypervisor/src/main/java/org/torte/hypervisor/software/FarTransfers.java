package org.torte.hypervisor.software;

import static org.torte.hypervisor.software.Cpu.CS;
import static org.torte.hypervisor.software.Cpu.RSP;
import static org.torte.hypervisor.software.Cpu.SS;

import org.torte.hypervisor.x86.Instruction;
import org.torte.hypervisor.x86.Operand;

/** Far JMP, CALL and RET, call gates, and IRET (Intel SDM vol. 3, section 5.8, and vol. 2 for each of them). */
final class FarTransfers {
    private final Cpu cpu;
    private final Segmentation segmentation;
    private final Interrupts interrupts;

    FarTransfers(Cpu cpu, Segmentation segmentation, Interrupts interrupts) {
        this.cpu = cpu;
        this.segmentation = segmentation;
        this.interrupts = interrupts;
    }

    void execute(Instruction in, Operands operands, Stack stack) {
        switch (in.form.operation()) {
            case JMP_FAR, CALL_FAR -> {
                boolean call = in.form.operation() == org.torte.hypervisor.x86.Operation.CALL_FAR;
                int size = offsetSize(in);
                long offset;
                int selector;
                if (in.form.operand(0).kind() == Operand.Kind.FAR_POINTER) {
                    offset = Alu.zeroExtend(in.immediate, size);
                    selector = in.immediate2;
                } else {
                    offset = cpu.mmu.load(operands.address(in, size, false), size);
                    selector = operands.farSelector(in, size);
                }
                if (cpu.realSegments()) {
                    transferReal(call, selector, offset, size, stack);
                } else {
                    transfer(call, selector, offset, in.operandSize, stack);
                }
            }
            case RET_FAR ->
                returnFar(in.operandSize, in.form.operandCount() == 0 ? 0 : (int) in.immediate & 0xffff, stack);
            default -> returnFromInterrupt(in.operandSize, stack);
        }
        cpu.modeChanged();
    }

    /** Bytes of the offset in a far pointer: REX.W does not make it 8 on AMD's processors, which the models are. */
    static int offsetSize(Instruction in) {
        return Math.min(in.operandSize, 4);
    }

    private void transferReal(boolean call, int selector, long offset, int size, Stack stack) {
        if (offset > 0xffff) {
            throw cpu.gp(0);
        }
        if (call) {
            long sp = cpu.r[RSP];
            stack.push(cpu.selector[CS], size);
            try {
                stack.push(cpu.rip, size);
            } catch (GuestFault f) {
                cpu.r[RSP] = sp;
                throw f;
            }
        }
        segmentation.setReal(CS, selector);
        cpu.rip = offset;
    }

    private void transfer(boolean call, int selector, long offset, int size, Stack stack) {
        if ((selector & 0xfffc) == 0) {
            throw cpu.gp(0);
        }
        long descriptor = segmentation.descriptor(selector);
        if (Segmentation.isSystem(descriptor)) {
            gate(call, selector, descriptor, stack);
            return;
        }
        checkDirect(selector, descriptor);
        long sp = cpu.r[RSP];
        if (call) {
            pushReturn(size, stack);
        }
        try {
            checkTarget(descriptor, offset);
        } catch (GuestFault f) {
            cpu.r[RSP] = sp;
            throw f;
        }
        segmentation.setCode(selector, descriptor, cpu.cpl);
        cpu.rip = offset;
    }

    private void pushReturn(int size, Stack stack) {
        long sp = cpu.r[RSP];
        stack.push(cpu.selector[CS], size);
        try {
            stack.push(cpu.rip, size);
        } catch (GuestFault f) {
            cpu.r[RSP] = sp;
            throw f;
        }
    }

    private void checkDirect(int selector, long descriptor) {
        int error = selector & 0xfffc;
        if (!Segmentation.isCode(descriptor)) {
            throw cpu.gp(error);
        }
        boolean allowed = Segmentation.isConforming(descriptor)
                ? Segmentation.privilege(descriptor) <= cpu.cpl
                : Segmentation.privilege(descriptor) == cpu.cpl && (selector & 3) <= cpu.cpl;
        if (!allowed) {
            throw cpu.gp(error);
        }
        segmentation.checkCodeSize(selector, descriptor);
        if (!Segmentation.isPresent(descriptor)) {
            throw cpu.fault(GuestFault.NP, error);
        }
    }

    private void checkTarget(long descriptor, long offset) {
        boolean valid = cpu.longModeActive() && Segmentation.isLong(descriptor)
                ? offset << 16 >> 16 == offset
                : Long.compareUnsigned(offset, Segmentation.limit(descriptor) & 0xffffffffL) <= 0;
        if (!valid) {
            throw cpu.gp(0);
        }
    }

    /** A call gate, task gate or task state segment. */
    private void gate(boolean call, int selector, long gate, Stack stack) {
        int error = selector & 0xfffc;
        boolean long64 = cpu.longModeActive();
        int type = Segmentation.type(gate);
        boolean wide = type == Segmentation.TYPE_CALL_GATE_32;
        boolean task = type == Segmentation.TYPE_TASK_GATE
                || type == Segmentation.TYPE_TSS_AVAILABLE
                || type == Segmentation.TYPE_TSS_16_AVAILABLE;
        if (!wide && (long64 || !task && type != Segmentation.TYPE_CALL_GATE_16)) {
            throw cpu.gp(error);
        }
        if (Segmentation.privilege(gate) < Math.max(cpu.cpl, selector & 3)) {
            throw cpu.gp(error);
        }
        if (!Segmentation.isPresent(gate)) {
            throw cpu.fault(GuestFault.NP, error);
        }
        if (task) {
            TaskSwitch.Cause cause = call ? TaskSwitch.Cause.CALL : TaskSwitch.Cause.JUMP;
            if (type == Segmentation.TYPE_TASK_GATE) {
                interrupts.tasks().throughGate(gate, cause);
            } else {
                interrupts.tasks().direct(selector, cause);
            }
            return;
        }
        long offset = wide ? gate & 0xffff | gate >>> 32 & 0xffff0000L : gate & 0xffff;
        if (long64) {
            long at = segmentation.descriptorAddress(selector, 16, GuestFault.GP);
            long upper = cpu.mmu.loadSystem(at + 8, 8);
            if ((upper >>> 40 & 31) != 0) {
                throw cpu.gp(error);
            }
            offset |= upper << 32;
        }
        int target = (int) (gate >>> 16) & 0xffff;
        if ((target & 0xfffc) == 0) {
            throw cpu.gp(0);
        }
        long descriptor = segmentation.descriptor(target);
        if (!Segmentation.isCode(descriptor)
                || Segmentation.privilege(descriptor) > cpu.cpl
                || long64 && (!Segmentation.isLong(descriptor) || Segmentation.isBig(descriptor))
                || !call && !Segmentation.isConforming(descriptor) && Segmentation.privilege(descriptor) != cpu.cpl) {
            throw cpu.gp(target & 0xfffc);
        }
        if (!Segmentation.isPresent(descriptor)) {
            throw cpu.fault(GuestFault.NP, target & 0xfffc);
        }
        checkTarget(descriptor, offset);
        int size = long64 ? 8 : wide ? 4 : 2;
        boolean inner = call && !Segmentation.isConforming(descriptor) && Segmentation.privilege(descriptor) < cpu.cpl;
        if (inner) {
            int level = Segmentation.privilege(descriptor);
            if (long64) {
                callInnerLong(level);
            } else {
                callInner(level, (int) (gate >>> 32) & 31, size);
            }
            segmentation.setCode(target, descriptor, level);
            cpu.setCpl(level);
        } else {
            if (call) {
                pushReturn(size, stack);
            }
            segmentation.setCode(target, descriptor, cpu.cpl);
        }
        cpu.rip = offset;
    }

    private void callInnerLong(int level) {
        long sp = segmentation.taskField(4 + 8 * level, 8);
        if (sp << 16 >> 16 != sp) {
            throw cpu.fault(GuestFault.SS, 0);
        }
        long frame = sp - 32;
        Mmu.Privilege as = cpu.pushPrivilege(level);
        cpu.mmu.checkStoreAs(frame, 32, as);
        cpu.mmu.storeAs(sp - 8, 8, cpu.selector[SS], as);
        cpu.mmu.storeAs(sp - 16, 8, cpu.r[RSP], as);
        cpu.mmu.storeAs(sp - 24, 8, cpu.selector[CS], as);
        cpu.mmu.storeAs(frame, 8, cpu.rip, as);
        cpu.r[RSP] = frame;
        segmentation.setNull(SS, level);
    }

    private void callInner(int level, int parameters, int size) {
        Interrupts.InnerStack inner = interrupts.innerStack(level);
        StackFrame frame = new StackFrame(inner.pointer(), inner.selector(), inner.descriptor());
        long[] words = new long[parameters + 4];
        words[0] = cpu.selector[SS];
        words[1] = cpu.r[RSP];
        Stack stack = new Stack(cpu);
        for (int i = 0; i < parameters; i++) {
            words[2 + i] = stack.peek((parameters - 1 - i) * size, size);
        }
        words[parameters + 2] = cpu.selector[CS];
        words[parameters + 3] = cpu.rip;
        frame.push(cpu, words, words.length, size, cpu.pushPrivilege(level));
        segmentation.set(SS, inner.selector(), inner.descriptor());
        cpu.r[RSP] = frame.pointer;
    }

    // ---- returns

    private void returnFar(int size, int release, Stack stack) {
        int selector = (int) stack.peek(size, size) & 0xffff;
        long offset = stack.peek(0, size);
        if (cpu.realSegments()) {
            if (offset > 0xffff) {
                throw cpu.gp(0);
            }
            stack.drop(2 * size + release);
            segmentation.setReal(CS, selector);
            cpu.rip = offset;
            return;
        }
        long descriptor = returnSegment(selector);
        int level = selector & 3;
        checkTarget(descriptor, offset);
        if (level == cpu.cpl) {
            stack.drop(2 * size);
            segmentation.setCode(selector, descriptor, level);
            cpu.rip = offset;
            // The parameters are released with the width that the stack pointer has for the caller.
            cpu.modeChanged();
            stack.drop(release);
            return;
        }
        long newSp = stack.peek(2 * size + release, size);
        int newSs = (int) stack.peek(3 * size + release, size) & 0xffff;
        returnOutward(selector, descriptor, offset, newSs, newSp, size, release);
    }

    /** Checks the code segment of a return. */
    private long returnSegment(int selector) {
        if ((selector & 0xfffc) == 0) {
            throw cpu.gp(0);
        }
        int error = selector & 0xfffc;
        long descriptor = segmentation.descriptor(selector);
        int level = selector & 3;
        boolean allowed = Segmentation.isConforming(descriptor)
                ? Segmentation.privilege(descriptor) <= level
                : Segmentation.privilege(descriptor) == level;
        if (!Segmentation.isCode(descriptor) || level < cpu.cpl || !allowed) {
            throw cpu.gp(error);
        }
        segmentation.checkCodeSize(selector, descriptor);
        if (!Segmentation.isPresent(descriptor)) {
            throw cpu.fault(GuestFault.NP, error);
        }
        return descriptor;
    }

    private void returnOutward(
            int selector, long descriptor, long offset, int newSs, long newSp, int size, int release) {
        int level = selector & 3;
        boolean toLong = cpu.longModeActive() && Segmentation.isLong(descriptor);
        long stackDescriptor = 0;
        boolean nullStack = (newSs & 0xfffc) == 0;
        if (nullStack) {
            if (!toLong || level == 3 || (newSs & 3) != level) {
                throw cpu.gp(0);
            }
        } else {
            stackDescriptor = segmentation.descriptor(newSs);
            segmentation.checkStack(newSs, stackDescriptor, level, GuestFault.GP);
        }
        boolean outer = level != cpu.cpl;
        segmentation.setCode(selector, descriptor, level);
        cpu.rip = offset;
        cpu.setCpl(level);
        if (nullStack) {
            segmentation.setNull(SS, newSs);
        } else {
            segmentation.set(SS, newSs, stackDescriptor);
        }
        if (toLong) {
            cpu.r[RSP] = Alu.zeroExtend(newSp, size) + release;
        } else if (nullStack || Segmentation.isBig(stackDescriptor)) {
            cpu.r[RSP] = newSp + release & 0xffffffffL;
        } else {
            cpu.r[RSP] = cpu.r[RSP] & ~0xffffL | newSp + release & 0xffff;
        }
        if (outer) {
            segmentation.dropPrivilegedData(level);
        }
    }

    private void returnFromInterrupt(int size, Stack stack) {
        java.lang.invoke.VarHandle.fullFence(); // IRET serialises
        if (cpu.virtual8086() && cpu.iopl() < 3) {
            throw cpu.gp(0);
        }
        if (cpu.protectedMode() && (cpu.systemFlags & Cpu.NT) != 0 && !cpu.virtual8086()) {
            if (cpu.longModeActive()) {
                throw cpu.gp(0);
            }
            interrupts.tasks().returnToPrevious();
            cpu.setNmiBlocked(false);
            return;
        }
        int flags = (int) stack.peek(2 * size, size);
        int selector = (int) stack.peek(size, size) & 0xffff;
        long offset = stack.peek(0, size);
        if (cpu.realSegments()) {
            if (offset > 0xffff) {
                throw cpu.gp(0);
            }
            stack.drop(3 * size);
            segmentation.setReal(CS, selector);
            cpu.rip = offset;
            loadFlags(
                    flags,
                    size,
                    cpu.virtual8086() ? 3 : 0,
                    Cpu.VM | Cpu.VIF | Cpu.VIP | (cpu.virtual8086() ? Cpu.IOPL : 0));
            cpu.setNmiBlocked(false);
            return;
        }
        if (size == 4 && (flags & Cpu.VM) != 0 && cpu.cpl == 0 && !cpu.longModeActive()) {
            returnToVirtual8086(offset, selector, flags, stack);
            return;
        }
        long descriptor = returnSegment(selector);
        checkTarget(descriptor, offset);
        int level = cpu.cpl;
        if (cpu.longMode() || (selector & 3) != level) {
            long newSp = stack.peek(3 * size, size);
            int newSs = (int) stack.peek(4 * size, size) & 0xffff;
            returnOutward(selector, descriptor, offset, newSs, newSp, size, 0);
        } else {
            stack.drop(3 * size);
            segmentation.setCode(selector, descriptor, level);
            cpu.rip = offset;
        }
        loadFlags(flags, size, level, Cpu.VM | (level == 0 ? 0 : Cpu.VIF | Cpu.VIP));
        cpu.setNmiBlocked(false);
    }

    /** Sets the flags as far as the level before the return allows. */
    private void loadFlags(int flags, int size, int level, int keep) {
        int kept = keep;
        if (level > 0) {
            kept |= Cpu.IOPL;
        }
        if (cpu.protectedMode() && level > cpu.iopl()) {
            kept |= Cpu.IF;
        }
        if (size == 2) {
            kept |= 0xffff0000;
        }
        // RF is for instruction breakpoints; without any, nobody would clear it.
        int loaded = cpu.breakpoints.armed() ? flags : flags & ~Cpu.RF;
        cpu.alu.setFlags(flags);
        cpu.setSystemFlags(loaded & ~kept | cpu.systemFlags & kept);
    }

    private void returnToVirtual8086(long offset, int selector, int flags, Stack stack) {
        long sp = stack.peek(12, 4);
        int[] selectors = new int[5];
        for (int i = 0; i < 5; i++) {
            selectors[i] = (int) stack.peek(16 + 4 * i, 4) & 0xffff;
        }
        if (offset > 0xffff) {
            throw cpu.gp(0);
        }
        cpu.setFlags(flags);
        cpu.setCpl(3);
        segmentation.setReal(CS, selector);
        int[] order = {SS, Cpu.ES, Cpu.DS, Cpu.FS, Cpu.GS};
        for (int i = 0; i < 5; i++) {
            segmentation.setReal(order[i], selectors[i]);
        }
        cpu.r[RSP] = sp & 0xffffffffL;
        cpu.rip = offset;
        cpu.setNmiBlocked(false);
    }
}
