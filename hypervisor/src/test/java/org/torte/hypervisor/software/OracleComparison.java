package org.torte.hypervisor.software;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_LONG_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_SHORT_UNALIGNED;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;
import org.torte.hypervisor.oracle.AddressSpace;
import org.torte.hypervisor.oracle.CaseRecord;
import org.torte.hypervisor.oracle.CodeMode;
import org.torte.hypervisor.oracle.HostFeatures;
import org.torte.hypervisor.oracle.TestProgram;
import org.torte.hypervisor.x86.Form;
import org.torte.hypervisor.x86.Instruction;
import org.torte.hypervisor.x86.Operation;

/** Runs a case on the interpreter and says how its result differs from the host's. */
final class OracleComparison {
    private static final int COMPARED_FLAGS = 0x4_0CD5;
    private static final int C1 = 0x200, ERROR_SUMMARY = 0x80;
    /** MXCSR_MASK's bit 17 where FXSAVE stores it. */
    private static final long MISALIGNED_SSE = 1L << 49;

    /** Where XSAVE stores the mask of the components in use. */
    private static final int XSTATE_BV = 512;

    private static final String[] SEGMENTS = {"es", "cs", "ss", "ds", "fs", "gs"};

    /** Linux' own half of the address space, which it claims to be present. */
    private static final long KERNEL = 0x7FFF_FFFF_F000L;

    private final InterpreterUnderTest interpreter;
    private final HostFeatures features;
    private final MemorySegment windows = Arena.ofAuto().allocate(AddressSpace.WINDOW_BYTES);
    private final StringBuilder out = new StringBuilder();

    OracleComparison(InterpreterUnderTest interpreter, HostFeatures features) {
        this.interpreter = interpreter;
        this.features = features;
    }

    /** What is different, or null; the host has run the case. */
    @Nullable
    String compare(TestProgram program, CaseRecord host, boolean single) {
        if (host.vector() < 0 || host.vector() == GuestFault.DB) {
            return null;
        }
        boolean parts = false;
        // A fault or a branch may have skipped an instruction that would have defined them again.
        boolean straight = host.vector() == GuestFault.BP;
        for (Instruction in : program.instructions()) {
            parts |= OracleScope.touchesManyParts(in);
            straight &= !OracleScope.branches(in.form);
        }
        if (parts && program.mode() != CodeMode.LONG && address(host.vector())) {
            return null;
        }
        boolean sequence = program.instructions().size() > 1;
        int undefinedFlags = 0;
        int random = 0;
        for (Instruction in : program.instructions()) {
            if (OracleScope.undefined(in, host)) {
                return null;
            }
            if (straight && !OracleScope.mayKeepFlags(in.form)) {
                undefinedFlags &= ~in.form.flagsWritten();
            }
            undefinedFlags |= sequence ? in.form.flagsUndefined() : OracleScope.undefinedFlags(in, host);
            random |= OracleScope.randomRegisters(in);
        }
        interpreter.run(host, single);
        out.setLength(0);
        if (exception(host, parts)) {
            registers(program, host, random);
            // Translated code does not keep flags for a fault that nothing reads afterwards.
            boolean dead = interpreter.translated != null && host.vector() != GuestFault.BP;
            long mask = COMPARED_FLAGS & ~undefinedFlags & (dead ? ~Alu.FLAGS : -1);
            different("flags", interpreter.cpu.flags() & mask, host.flagsAfter() & mask, host.flags() & mask);
            memory(program, host);
            floatingPoint(host, OracleScope.approximation(program.form()));
        }
        // Bytes that are not executed as they were chosen may use flags that are undefined.
        boolean differs = !out.isEmpty() && (!sequence || interpreter.runsInOrder(program, host));
        return differs ? out.toString() : null;
    }

    /** Whether an exception is about an address. */
    private static boolean address(int vector) {
        return vector >= GuestFault.SS && vector <= GuestFault.PF || vector == GuestFault.AC;
    }

    /** Compares how the case ended; false if that differs already. */
    private boolean exception(CaseRecord host, boolean parts) {
        GuestFault fault = interpreter.fault;
        int vector = interpreter.breakpoint ? GuestFault.BP : fault == null ? -1 : fault.vector;
        if (parts && address(vector) && address(host.vector()) && vector != host.vector()) {
            // Whether a page in the middle or the end of the segment or of canonical addresses comes first.
            return false;
        }
        if (vector != host.vector()) {
            out.append(" vector ").append(vector).append(" instead of ").append(host.vector());
            out.append(" (error ")
                    .append(host.errorCode())
                    .append(" cr2 ")
                    .append(Long.toHexString(host.cr2()))
                    .append(')');
            return false;
        }
        Cpu cpu = interpreter.cpu;
        boolean anyPart = vector == GuestFault.PF && parts;
        if (fault != null && vector >= 10 && vector <= 14 && !anyPart) {
            boolean kernel = vector == GuestFault.PF && Long.compareUnsigned(host.cr2(), KERNEL) >= 0;
            // The host's kernel may drop the read-only page for a while.
            boolean dropped = vector == GuestFault.PF && host.cr2() >>> 12 == AddressSpace.CONSTANTS >>> 12;
            int present = kernel || dropped ? 1 : 0;
            different("error code", fault.errorCode | present, host.errorCode() | present, 0);
        }
        if (vector == GuestFault.PF) {
            if (!anyPart) {
                different("cr2", cpu.cr2, host.cr2(), 0);
            }
        }
        if (vector != GuestFault.OF) {
            different("rip", cpu.rip, host.ripAfter() - (vector == GuestFault.BP ? 1 : 0), host.rip());
        }
        return true;
    }

    private void registers(TestProgram program, CaseRecord host, int random) {
        Cpu cpu = interpreter.cpu;
        for (int s = 0; s < 6; s++) {
            // The kernel's return to the handler clears the RPL of null selectors.
            int selector = cpu.selector[s] < 4 ? 0 : cpu.selector[s];
            different(SEGMENTS[s], selector, host.selectorAfter(s), host.selector(s));
        }
        if (features.has(org.torte.hypervisor.x86.Feature.FSGSBASE)) {
            different("fs base", cpu.r[Cpu.BASE + Cpu.FS], host.baseAfter(Cpu.FS), 0);
            different("gs base", cpu.r[Cpu.BASE + Cpu.GS], host.baseAfter(Cpu.GS), 0);
        }
        for (int i = 0; i < 16; i++) {
            if ((random >>> i & 1) == 0) {
                // Compatibility mode has no upper half of RSP.
                boolean narrow =
                        program.mode() != CodeMode.LONG || host.selectorAfter(Cpu.CS) != AddressSpace.FLAT_CODE_64;
                long mask = i == Cpu.RSP && narrow ? 0xFFFF_FFFFL : -1;
                different("r", i, "", cpu.r[i] & mask, host.registerAfter(i) & mask, host.register(i));
            }
        }
    }

    private void memory(TestProgram program, CaseRecord host) {
        interpreter.windows(windows);
        MemorySegment after = host.dataAfter();
        if (windows.mismatch(after) < 0) {
            return;
        }
        long mask = OracleScope.storesMxcsrMask(program.form()) ? ~MISALIGNED_SSE : -1;
        for (int at = 0; at < AddressSpace.WINDOW_BYTES; at += 8) {
            long ours = windows.get(JAVA_LONG_UNALIGNED, at);
            long theirs = after.get(JAVA_LONG_UNALIGNED, at);
            if (mask != -1 && ours == theirs << 16 >> 16 && theirs == theirs << 7 >> 7) {
                // A pointer of the x87, stored by a host whose addresses have 57 bits.
                continue;
            }
            if ((ours ^ theirs) == 1 && isComponentMask(program, host, at)) {
                // Whether the x87 counts as in use while it is in its initial state is up to the processor.
                continue;
            }
            different(
                    "window+" + Integer.toHexString(at),
                    ours & mask,
                    theirs & mask,
                    host.data().get(JAVA_LONG_UNALIGNED, at));
        }
    }

    /** Whether one of the program's XSAVEs stores XSTATE_BV at this place of the windows. */
    private boolean isComponentMask(TestProgram program, CaseRecord host, int at) {
        for (Instruction in : program.instructions()) {
            if (in.form.operation() == Operation.XSAVE
                    && AddressSpace.inWindows(address(program, in, host) + XSTATE_BV) == at) {
                return true;
            }
        }
        return false;
    }

    /** The linear address of a memory operand whose registers the program does not change. */
    private static long address(TestProgram program, Instruction in, CaseRecord host) {
        long offset = in.displacement;
        if (in.base >= 0 && in.base < 16) {
            offset += host.register(in.base);
        }
        if (in.index >= 0) {
            offset += host.register(in.index) << in.scale;
        }
        long mask = in.addressSize == 8 ? -1 : (1L << 8 * in.addressSize) - 1;
        return (offset & mask) + program.base(in.segment);
    }

    private void floatingPoint(CaseRecord host, Approximation approximation) {
        FpuState fpu = interpreter.cpu.fpu;
        MemorySegment after = host.fxAfter();
        MemorySegment before = host.fx();
        boolean close = approximation == Approximation.TRANSCENDENTAL;
        for (int i = 0; i < 8; i++) {
            int physical = fpu.top + i & 7;
            long significand = after.get(JAVA_LONG_UNALIGNED, 32 + 16 * i);
            int signExponent = after.get(JAVA_SHORT_UNALIGNED, 40 + 16 * i) & 0xFFFF;
            boolean equal = fpu.significand[physical] == significand && fpu.signExponent[physical] == signExponent;
            if (!equal
                    && !(close
                            && i < 2
                            && Approximation.neighbours(
                                    fpu.significand[physical],
                                    fpu.signExponent[physical],
                                    significand,
                                    signExponent))) {
                different(
                        "st",
                        i,
                        "",
                        fpu.significand[physical],
                        significand,
                        before.get(JAVA_LONG_UNALIGNED, 32 + 16 * i));
                different(
                        "exp",
                        i,
                        "",
                        fpu.signExponent[physical],
                        signExponent,
                        before.get(JAVA_SHORT_UNALIGNED, 40 + 16 * i) & 0xFFFF);
            }
        }
        different("fcw", fpu.control, word(after, 0), word(before, 0));
        // C1 says which way the last place was rounded.
        int mask = close ? ~C1 : -1;
        different("fsw", fpu.statusWord() & mask, word(after, 2) & mask, word(before, 2));
        different("ftw", ~fpu.empty & 0xFF, after.get(JAVA_BYTE, 4) & 0xFF, before.get(JAVA_BYTE, 4) & 0xFF);
        if (features.isAmd()) {
            // XSAVE, by which the kernel saves, leaves the pointers out without a pending exception.
            boolean pending = (fpu.statusWord() & ERROR_SUMMARY) != 0;
            different("fop", pending ? fpu.opcode : 0, word(after, 6), word(before, 6));
            different(
                    "fip",
                    pending ? pointer(fpu.instructionPointer) : 0,
                    pointer(after.get(JAVA_LONG_UNALIGNED, 8)),
                    before.get(JAVA_LONG_UNALIGNED, 8));
            different(
                    "fdp",
                    pending ? pointer(fpu.dataPointer) : 0,
                    pointer(after.get(JAVA_LONG_UNALIGNED, 16)),
                    before.get(JAVA_LONG_UNALIGNED, 16));
        }
        different("mxcsr", fpu.mxcsr, after.get(JAVA_INT_UNALIGNED, 24), before.get(JAVA_INT_UNALIGNED, 24));
        for (int i = 0; i < 32; i++) {
            long expected = after.get(JAVA_LONG_UNALIGNED, 160 + 8 * i);
            if (approximation != Approximation.RECIPROCAL || !Approximation.reciprocals(fpu.xmm[i], expected)) {
                different(
                        "xmm",
                        i / 2,
                        i % 2 == 0 ? ".low" : ".high",
                        fpu.xmm[i],
                        expected,
                        before.get(JAVA_LONG_UNALIGNED, 160 + 8 * i));
            }
        }
    }

    /** The host's addresses may have 57 bits. */
    private static long pointer(long value) {
        return value << 16 >>> 16;
    }

    private static int word(MemorySegment fx, int offset) {
        return fx.get(JAVA_SHORT_UNALIGNED, offset) & 0xFFFF;
    }

    /** With a name that is put together only if it is needed. */
    private void different(String register, int number, String part, long actual, long expected, long before) {
        if (actual != expected) {
            different(register + number + part, actual, expected, before);
        }
    }

    private void different(String name, long actual, long expected, long before) {
        if (actual != expected) {
            out.append(' ').append(name).append(' ').append(Long.toHexString(actual));
            out.append(" instead of ").append(Long.toHexString(expected));
            out.append(" (before ").append(Long.toHexString(before)).append(')');
        }
    }

    /** Whether any of the operands is a register or memory in this register file. */
    static boolean uses(Form form, org.torte.hypervisor.x86.Operand.Kind kind) {
        return form.operands().stream().anyMatch(operand -> operand.kind() == kind);
    }
}
