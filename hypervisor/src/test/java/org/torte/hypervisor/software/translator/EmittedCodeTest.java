package org.torte.hypervisor.software.translator;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.torte.hypervisor.oracle.CodeMode;
import org.torte.hypervisor.oracle.InstructionGenerator;
import org.torte.hypervisor.oracle.TestProgram;
import org.torte.hypervisor.x86.Decoder;
import org.torte.hypervisor.x86.Form;
import org.torte.hypervisor.x86.Instruction;
import org.torte.hypervisor.x86.Operand;
import org.torte.hypervisor.x86.Operation;

/**
 * Decodes what the translator emits for random instructions of every form: it must consist of instructions that cannot
 * fault or disturb the JVM, and access nothing but the state and what was checked.
 */
class EmittedCodeTest {
    private static final int PROGRAMS = 60_000;

    /** What translated code consists of besides instructions on vector registers. */
    private static final Set<Operation> ALLOWED = EnumSet.of(
            Operation.ADD,
            Operation.OR,
            Operation.ADC,
            Operation.SBB,
            Operation.AND,
            Operation.SUB,
            Operation.XOR,
            Operation.CMP,
            Operation.TEST,
            Operation.INC,
            Operation.DEC,
            Operation.NEG,
            Operation.NOT,
            Operation.MUL,
            Operation.IMUL1,
            Operation.IMUL,
            Operation.DIV,
            Operation.IDIV,
            Operation.ROL,
            Operation.ROR,
            Operation.RCL,
            Operation.RCR,
            Operation.SHL,
            Operation.SHR,
            Operation.SAR,
            Operation.SHLD,
            Operation.SHRD,
            Operation.BT,
            Operation.BTS,
            Operation.BTR,
            Operation.BTC,
            Operation.BSF,
            Operation.BSR,
            Operation.TZCNT,
            Operation.LZCNT,
            Operation.POPCNT,
            Operation.CMPXCHG,
            Operation.CMPXCHG8B,
            Operation.XADD,
            Operation.XCHG,
            Operation.CRC32,
            Operation.MOVBE,
            Operation.ADCX,
            Operation.ADOX,
            Operation.CONVERT_A,
            Operation.CONVERT_D,
            Operation.MOV,
            Operation.MOVZX,
            Operation.MOVSX,
            Operation.MOVSXD,
            Operation.MOVNTI,
            Operation.CMOVCC,
            Operation.SETCC,
            Operation.LAHF,
            Operation.SAHF,
            Operation.CLC,
            Operation.STC,
            Operation.CMC,
            Operation.LFENCE,
            Operation.MFENCE,
            Operation.SFENCE,
            Operation.LEA,
            Operation.BSWAP,
            Operation.NOP,
            Operation.JMP,
            Operation.JCC);

    @Test
    void emittedCodeIsHarmless() {
        Translator translator = Translator.create(64 << 20);
        if (translator == null) {
            Assumptions.abort("this host does not allow translated code");
            return;
        }
        long seed = Long.getLong("torte.seed", 1);
        System.out.println("repeat with -Dtorte.seed=" + seed);
        Random random = new Random(seed);
        InstructionGenerator generator = new InstructionGenerator(random);
        List<String> harmful = new ArrayList<>();
        try (translator) {
            for (int i = 0; i < PROGRAMS; i++) {
                Form form = Form.of(1 + i % (Form.count() - 1));
                TestProgram program =
                        generator.generate(List.of(form, Form.of(1 + random.nextInt(Form.count() - 1))), CodeMode.LONG);
                if (program == null) {
                    continue;
                }
                byte[] code = program.code();
                boolean straddles =
                        random.nextInt(4) == 0 && program.instructions().getFirst().length > 1;
                byte[] page = new byte[straddles ? 0x100f : 0x1000];
                int start = straddles ? 0xfff : 0x100;
                System.arraycopy(code, 0, page, start, Math.min(code.length, page.length - start));
                Translation made = translator.translate(
                        page,
                        0x7000_0000_0000L + start,
                        new int[] {straddles ? 1 : program.instructions().size()},
                        in -> {},
                        at -> 0,
                        new Profile(random.nextBoolean(), 0),
                        null);
                if (made == null) {
                    if (translator.isFull()) {
                        translator.reset();
                    }
                    continue;
                }
                String found = harm(translator, made);
                if (found != null) {
                    harmful.add(program + " became " + found);
                }
            }
        }
        assertThat(harmful).isEmpty();
    }

    @Test
    void whatReadsTheTimeCallsOneFunctionAlone() {
        Translator translator = Translator.create(1 << 20);
        if (translator == null) {
            Assumptions.abort("this host does not allow translated code");
            return;
        }
        byte[] code;
        try (translator) {
            code = translator.timeRoutine();
        }
        assertThat(translator.clock).as("clock_gettime").isNotZero();
        int calls = 0;
        Instruction before = new Instruction();
        for (int at = 0; at < code.length; ) {
            Instruction in = new Instruction();
            int start = at;
            at += Decoder.decode(offset -> start + offset < code.length ? code[start + offset] & 0xff : 0, 64, in);
            String where = in.form + " at " + start;
            switch (in.form.operation()) {
                case CALL -> {
                    calls++;
                    assertThat(in.memory).as(where).isFalse();
                    assertThat(in.rm).as(where).isEqualTo(Assembler.RAX);
                    assertThat(before.form.operation()).as(where).isEqualTo(Operation.MOV);
                    assertThat(before.rm).as(where).isEqualTo(Assembler.RAX);
                    assertThat(before.immediate).as(where).isEqualTo(translator.clock);
                }
                case RET -> {}
                default -> {
                    boolean vector = in.form.operation() == Operation.MOVUPS;
                    assertThat(vector || ALLOWED.contains(in.form.operation()))
                            .as(where)
                            .isTrue();
                    boolean pointer = in.base == Assembler.R14
                            || in.base == Assembler.RSP
                            || in.base == Assembler.R12 && in.displacement == 0 && readsFrom(in);
                    assertThat(!in.memory || pointer && in.index == Instruction.NONE)
                            .as(where)
                            .isTrue();
                }
            }
            before = in;
        }
        assertThat(calls).isEqualTo(1);
    }

    private static boolean readsFrom(Instruction in) {
        return in.form.operation() == Operation.CMP || !Selection.isMemory(in, 0);
    }

    /** The first instruction that must not be there, or null. */
    private static @Nullable String harm(Translator translator, Translation made) {
        byte[] code = translator.hostCode(made);
        int at = 0;
        Instruction before = new Instruction();
        boolean distance = false;
        boolean guarded = false;
        while (at < code.length) {
            Instruction in = new Instruction();
            int start = at;
            int length =
                    Decoder.decode(offset -> start + offset < code.length ? code[start + offset] & 0xff : 0, 64, in);
            boolean routine = in.form.operation() == Operation.CALL
                    && in.form.operand(0).kind() == Operand.Kind.RELATIVE
                    && translator.isRoutine(made.hot + start + length + (int) in.immediate);
            boolean there = distance;
            distance = isDistance(in) || distance && !changesR12(in);
            guarded |= isX87Check(before) && in.form.operation() == Operation.JCC;
            boolean allowed = isX87(in) ? guarded && isHarmlessX87(in, there) : isHarmless(in, there);
            if (!routine && !allowed && !isRepeatedString(in, before)) {
                return in.form + " at " + start;
            }
            at += length;
            before = in;
        }
        return null;
    }

    private static boolean isX87(Instruction in) {
        return in.form.operation().compareTo(Operation.FLD) >= 0
                && in.form.operation().compareTo(Operation.FWAIT) <= 0;
    }

    /** Whether it looks whether the x87 registers are in the host's, so that no exception is unmasked. */
    private static boolean isX87Check(Instruction in) {
        return in.form.operation() == Operation.CMP
                && in.base == Assembler.R14
                && in.index == Instruction.NONE
                && in.displacement == StateArea.X87;
    }

    /** What code may do with the x87 then; FLDCW only with a word that has been looked at. */
    private static boolean isHarmlessX87(Instruction in, boolean distance) {
        return switch (in.form.operation()) {
            case FLDCW -> in.base == Assembler.R14 && in.displacement == StateArea.SCRATCH2;
            case FBLD, FBSTP, FPREM, FPREM1, FSIN, FCOS, FSINCOS, FPTAN, FPATAN, F2XM1, FYL2X, FYL2XP1 -> false;
            case FNINIT, FLDENV, FNSTENV, FRSTOR, FNSAVE -> false;
            default -> !in.memory || isChecked(in, distance);
        };
    }

    private static boolean isChecked(Instruction in, boolean distance) {
        return in.segment < 4
                && (in.base == Assembler.R12 && in.index == Instruction.NONE && in.displacement == 0
                        || distance && in.index == Assembler.R12 && in.scale == 0);
    }

    /** Whether it is REP STOS or REP MOVS behind what brings the checked pointers. */
    private static boolean isRepeatedString(Instruction in, Instruction before) {
        boolean stores = in.form.operation() == Operation.STOS || in.form.operation() == Operation.MOVS;
        return stores
                && in.repeat == 0xf3
                && in.addressSize == 8
                && before.form.operation() == Operation.MOV
                && !before.memory
                && before.operandSize == 8
                && before.reg == Assembler.RDI
                && before.rm == Assembler.R12;
    }

    /** Whether it brings into r12 what leads from a linear address just checked to the host's. */
    private static boolean isDistance(Instruction in) {
        int slot = in.displacement >= StateArea.SLOTS ? (int) in.displacement - StateArea.SLOTS & 31 : -1;
        return in.form.operation() == Operation.MOV
                && in.memory
                && in.operandSize == 8
                && in.form.operand(0).place() == Operand.Place.REG
                && in.reg == Assembler.R12
                && in.base == Assembler.R14
                && (in.index == Assembler.R13 && in.displacement == SoftTlb.DISTANCE || slot == PageSlots.DISTANCE);
    }

    private static boolean changesR12(Instruction in) {
        boolean register = in.form.operandCount() > 0
                && in.form.operand(0).kind() == Operand.Kind.GPR
                && Selection.register(in, 0) == Assembler.R12
                && !Selection.isMemory(in, 0);
        return register && in.form.operation() != Operation.CMP && in.form.operation() != Operation.TEST;
    }

    /** {@code distance}: r12 is the way from a checked address to the host's. */
    private static boolean isHarmless(Instruction in, boolean distance) {
        boolean vector = in.form.operands().stream().anyMatch(operand -> operand.kind() == Operand.Kind.XMM)
                && in.form.operands().stream().noneMatch(operand -> operand.kind() == Operand.Kind.MMX);
        if (!vector && !ALLOWED.contains(in.form.operation()) || in.form.operation() == Operation.MASKMOVDQU) {
            return false;
        }
        boolean indirect = in.form.operation() == Operation.JMP
                && !in.memory
                && in.form.operand(0).kind() != Operand.Kind.RELATIVE;
        if (indirect) {
            return false;
        }
        if (!in.memory || in.form.operation() == Operation.LEA || in.form.operation() == Operation.NOP) {
            return writesNoPointer(in);
        }
        boolean bitString = switch (in.form.operation()) {
            case BT, BTS, BTR, BTC -> in.form.operand(1).kind() == Operand.Kind.GPR;
            default -> false;
        };
        if (bitString && in.reg != Assembler.R13) {
            return false; // in r13 the offset has been cut to the operand's size
        }
        boolean checked = isChecked(in, distance);
        boolean state = in.base == Assembler.R14 && (in.index == Instruction.NONE || in.index == Assembler.R13);
        return (checked || state) && in.segment < 4 && writesNoPointer(in);
    }

    /** Whether it leaves the host's stack pointer and the pointer to the state alone. */
    private static boolean writesNoPointer(Instruction in) {
        for (int i = 0; i < in.form.operandCount(); i++) {
            Operand operand = in.form.operand(i);
            boolean high = operand.size(in) == 1 && !in.rex && operand.kind() == Operand.Kind.GPR;
            if (operand.kind() != Operand.Kind.GPR || operand.place() == Operand.Place.FIXED || high) {
                continue;
            }
            int register = operand.place() == Operand.Place.REG ? in.reg : in.memory ? -1 : in.rm;
            if (register == Assembler.RSP || register == Assembler.R14) {
                return false;
            }
        }
        return true;
    }
}
