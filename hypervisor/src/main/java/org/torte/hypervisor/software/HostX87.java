package org.torte.hypervisor.software;

import org.torte.hypervisor.software.translator.StateArea;
import org.torte.hypervisor.software.translator.X87Image;
import org.torte.hypervisor.x86.Instruction;

/**
 * Lets translated code have the x87 registers of one processor, and takes them back before anybody else looks at them. The
 * instructions are then the host's; where an exception might come of that, they are interpreted. For the processor's own thread.
 */
final class HostX87 {
    private static final int MASKS = 0x3f;

    private final Cpu cpu;
    private final FpuState fpu;
    private final X87Image image;
    private int codeSelector;

    HostX87(Cpu cpu, X87Image image) {
        this.cpu = cpu;
        fpu = cpu.fpu;
        this.image = image;
    }

    /** Whether the guest may use the unit now, and has masked all exceptions. */
    boolean usable() {
        return (cpu.cr0 & (Cpu.CR0_EM | Cpu.CR0_TS)) == 0 && (fpu.control & MASKS) == MASKS;
    }

    /** Gives code of an area the registers, unless it has them. */
    void load(StateArea area) {
        if (image.area() == area) {
            return;
        }
        store();
        for (int i = 0; i < 8; i++) {
            int register = fpu.top + i & 7;
            image.setRegister(i, fpu.significand[register], fpu.signExponent[register]);
        }
        image.load(area, fpu.control, fpu.statusWord(), fpu.tagWord());
        codeSelector = cpu.selector[Cpu.CS];
    }

    /** Takes the registers back from code, if it has them. */
    void store() {
        StateArea area = image.area();
        if (area == null) {
            return;
        }
        fpu.control = image.controlWord() & 0x1f3f | 0x40;
        fpu.setStatusWord(image.statusWord());
        fpu.setTagWord(image.tagWord());
        for (int i = 0; i < 8; i++) {
            int register = fpu.top + i & 7;
            fpu.significand[register] = image.significand(i);
            fpu.signExponent[register] = image.signExponent(i);
        }
        if (area.x87Opcode() >= 0) {
            fpu.instructionPointer = area.x87CodePointer();
            fpu.codeSelector = codeSelector;
            fpu.opcode = area.x87Opcode();
        }
        if (area.x87DataSegment() >= 0) {
            fpu.dataPointer = area.x87DataPointer();
            fpu.dataSelector = cpu.selector[area.x87DataSegment()];
        }
        image.unload();
    }

    /** Whether an instruction about to be interpreted leaves the selectors that {@link #store} wants alone. */
    static boolean keepsSelectors(Instruction in) {
        return switch (in.form.operation()) {
            case MOV_TO_SREG, IRET, SYSCALL, SYSRET -> false;
            default -> true;
        };
    }
}
