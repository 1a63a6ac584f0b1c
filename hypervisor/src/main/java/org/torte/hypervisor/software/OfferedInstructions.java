package org.torte.hypervisor.software;

import java.util.EnumSet;
import java.util.Set;
import org.torte.hypervisor.CpuidTable;
import org.torte.hypervisor.x86.Feature;
import org.torte.hypervisor.x86.Form;
import org.torte.hypervisor.x86.Instruction;
import org.torte.hypervisor.x86.Operation;

/**
 * Which instructions a processor with given CPUID leaves has: what CPUID does not show is undefined. Immutable; for any
 * thread.
 */
final class OfferedInstructions {
    private static final int LEAF_1_CX16 = 1 << 13;

    /** What TZCNT and LZCNT are without their features: their F3 prefix is ignored. */
    private static final Form BSF = form(Operation.BSF);

    private static final Form BSR = form(Operation.BSR);

    private final boolean[] missing;
    private final boolean wideCompareExchange;

    OfferedInstructions(CpuidTable cpuid) {
        Set<Feature> absent = EnumSet.noneOf(Feature.class);
        for (Feature feature : Feature.values()) {
            if (!feature.in(cpuid)) {
                absent.add(feature);
            }
        }
        missing = new boolean[Form.count()];
        for (int i = 0; i < missing.length; i++) {
            missing[i] = absent.contains(Form.of(i).feature());
        }
        wideCompareExchange = (cpuid.get(1, 0).ecx() & LEAF_1_CX16) != 0;
    }

    private static Form form(Operation operation) {
        for (int i = 1; i < Form.count(); i++) {
            if (Form.of(i).operation() == operation) {
                return Form.of(i);
            }
        }
        throw new AssertionError(operation);
    }

    /** Changes the form of an instruction that this processor does not have to what it executes instead. */
    void apply(Instruction in, boolean mode64) {
        Form form = in.form;
        switch (form.operation()) {
            case LZCNT, TZCNT -> {
                if (missing[form.index()]) {
                    in.form = form.operation() == Operation.TZCNT ? BSF : BSR;
                }
            }
            case LAHF, SAHF -> {
                if (mode64 && missing[form.index()]) {
                    in.form = Form.INVALID;
                }
            }
            case CMPXCHG8B -> {
                if (missing[form.index()] || in.operandSize == 8 && !wideCompareExchange) {
                    in.form = Form.INVALID;
                }
            }
            default -> {
                if (missing[form.index()]) {
                    in.form = Form.INVALID;
                }
            }
        }
    }
}
