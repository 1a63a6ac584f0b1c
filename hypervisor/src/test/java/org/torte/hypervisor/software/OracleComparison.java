package org.torte.hypervisor.software;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_LONG_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_SHORT_UNALIGNED;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;
import org.torte.hypervisor.oracle.CaseRecord;
import org.torte.hypervisor.oracle.HostProcessor;
import org.torte.hypervisor.oracle.InstructionGenerator;
import org.torte.hypervisor.oracle.StateGenerator;
import org.torte.hypervisor.x86.Disassembler;
import org.torte.hypervisor.x86.Form;
import org.torte.hypervisor.x86.Operand;

/** Runs generated cases on the host's processor and on the interpreter, and collects where the two differ. */
final class OracleComparison {
    private static final int BATCH = 2000;
    private static final int STATES = 8;
    private static final int COMPARED_FLAGS = 0xCD5;

    /** Forms that differed, each with its number of differing cases and one of them. */
    record Difference(int count, String example) {}

    private final Random random;
    private final InstructionGenerator instructions;
    private final StateGenerator states;
    private final Map<Form, Difference> differences = new LinkedHashMap<>();

    /** Cases compared so far. */
    int cases;

    OracleComparison(long seed) {
        random = new Random(seed);
        instructions = new InstructionGenerator(random);
        states = new StateGenerator(random);
    }

    /** Compares about so many cases, spread evenly over the forms that the filter lets pass. */
    Map<Form, Difference> run(int total, Predicate<Form> filter) throws IOException {
        List<Form> forms = new ArrayList<>();
        for (int i = 1; i < Form.count(); i++) {
            if (OracleScope.covers(Form.of(i)) && filter.test(Form.of(i))) {
                forms.add(Form.of(i));
            }
        }
        try (HostProcessor host = new HostProcessor(BATCH);
                InterpreterUnderTest interpreter = new InterpreterUnderTest()) {
            InstructionGenerator.Generated[] generated = new InstructionGenerator.Generated[BATCH];
            int next = 0;
            while (cases < total) {
                int count = 0;
                while (count + STATES <= BATCH && next < Integer.MAX_VALUE) {
                    InstructionGenerator.Generated g = instructions.generate(forms.get(next++ % forms.size()));
                    if (g == null) {
                        continue;
                    }
                    for (int i = 0; i < STATES; i++) {
                        CaseRecord record = host.record(count);
                        record.setCode(g.code());
                        states.fill(record, g.instruction());
                        generated[count++] = g;
                    }
                }
                host.run(count);
                for (int i = 0; i < count; i++) {
                    CaseRecord record = host.record(i);
                    if (record.vector() == 1 || OracleScope.undefined(generated[i].instruction(), record)) {
                        continue;
                    }
                    interpreter.run(record);
                    String difference = compare(record, interpreter, generated[i].instruction().form);
                    if (difference != null) {
                        report(generated[i], difference);
                    }
                }
                cases += count;
            }
        }
        return differences;
    }

    private void report(InstructionGenerator.Generated g, String difference) {
        Form form = g.instruction().form;
        Difference known = differences.get(form);
        String example = known != null
                ? known.example()
                : HexFormat.of().formatHex(g.code()) + " " + Disassembler.text(g.instruction(), 64, CaseRecord.CODE)
                        + ": " + difference;
        differences.put(form, new Difference(known == null ? 1 : known.count() + 1, example));
    }

    private static @Nullable String compare(CaseRecord host, InterpreterUnderTest ours, Form form) {
        StringBuilder out = new StringBuilder();
        GuestFault fault = ours.fault;
        int vector = fault == null ? 3 : fault.vector;
        if (vector != host.vector()) {
            out.append(" vector ").append(vector).append(" instead of ").append(host.vector());
            return out.append(" (error ").append(host.errorCode()).append(')').toString();
        }
        Cpu cpu = ours.cpu;
        // Linux claims that the kernel's half of the address space is present.
        int linux = vector == 14 && Long.compareUnsigned(host.cr2(), 0x7FFF_FFFF_F000L) >= 0 ? 1 : 0;
        if (fault != null && vector >= 10 && vector <= 14 && (fault.errorCode | linux) != host.errorCode()) {
            out.append(" error code ")
                    .append(fault.errorCode)
                    .append(" instead of ")
                    .append(host.errorCode())
                    .append(" at ")
                    .append(Long.toHexString(host.cr2()));
        }
        if (vector == 14 && cpu.cr2 != host.cr2()) {
            different(out, "cr2", cpu.cr2, host.cr2(), 0);
        }
        long rip = vector == 3 ? host.ripAfter() - 1 : host.ripAfter();
        different(out, "rip", cpu.rip, rip, CaseRecord.CODE);
        for (int i = 0; i < 16; i++) {
            different(out, "r" + i, cpu.r[i], host.registerAfter(i), host.register(i));
        }
        long mask = COMPARED_FLAGS & ~form.flagsUndefined();
        different(out, "flags", cpu.flags() & mask, host.flagsAfter() & mask, host.flags() & mask);
        MemorySegment data = ours.data();
        long mismatch = data.mismatch(host.dataAfter());
        if (mismatch >= 0) {
            long at = Math.min(mismatch & ~7, 248);
            different(
                    out,
                    "data+" + at,
                    data.get(JAVA_LONG_UNALIGNED, at),
                    host.dataAfter().get(JAVA_LONG_UNALIGNED, at),
                    host.data().get(JAVA_LONG_UNALIGNED, at));
        }
        floatingPoint(out, cpu.fpu, host);
        return out.isEmpty() ? null : out.toString();
    }

    private static void floatingPoint(StringBuilder out, FpuState fpu, CaseRecord host) {
        MemorySegment after = host.fxAfter();
        MemorySegment before = host.fx();
        different(
                out,
                "fcw",
                fpu.control,
                after.get(JAVA_SHORT_UNALIGNED, 0) & 0xFFFF,
                before.get(JAVA_SHORT_UNALIGNED, 0) & 0xFFFF);
        different(
                out,
                "fsw",
                fpu.statusWord(),
                after.get(JAVA_SHORT_UNALIGNED, 2) & 0xFFFF,
                before.get(JAVA_SHORT_UNALIGNED, 2) & 0xFFFF);
        different(out, "ftw", ~fpu.empty & 0xFF, after.get(JAVA_BYTE, 4) & 0xFF, before.get(JAVA_BYTE, 4) & 0xFF);
        different(out, "mxcsr", fpu.mxcsr, after.get(JAVA_INT_UNALIGNED, 24), before.get(JAVA_INT_UNALIGNED, 24));
        for (int i = 0; i < 8; i++) {
            int physical = fpu.top + i & 7;
            different(
                    out,
                    "st" + i,
                    fpu.significand[physical],
                    after.get(JAVA_LONG_UNALIGNED, 32 + 16 * i),
                    before.get(JAVA_LONG_UNALIGNED, 32 + 16 * i));
            different(
                    out,
                    "exp" + i,
                    fpu.signExponent[physical],
                    after.get(JAVA_SHORT_UNALIGNED, 40 + 16 * i) & 0xFFFF,
                    before.get(JAVA_SHORT_UNALIGNED, 40 + 16 * i) & 0xFFFF);
        }
        for (int i = 0; i < 32; i++) {
            different(
                    out,
                    "xmm" + i / 2 + (i % 2 == 0 ? ".low" : ".high"),
                    fpu.xmm[i],
                    after.get(JAVA_LONG_UNALIGNED, 160 + 8 * i),
                    before.get(JAVA_LONG_UNALIGNED, 160 + 8 * i));
        }
    }

    private static void different(StringBuilder out, String name, long actual, long expected, long before) {
        if (actual != expected) {
            out.append(' ').append(name).append(' ').append(Long.toHexString(actual));
            out.append(" instead of ").append(Long.toHexString(expected));
            out.append(" (before ").append(Long.toHexString(before)).append(')');
        }
    }

    /** Whether any of the operands is a register or memory in this register file. */
    static boolean uses(Form form, Operand.Kind kind) {
        return form.operands().stream().anyMatch(operand -> operand.kind() == kind);
    }
}
