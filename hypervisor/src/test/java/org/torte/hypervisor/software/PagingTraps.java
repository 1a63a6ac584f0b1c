package org.torte.hypervisor.software;

import java.util.List;
import java.util.Random;

/**
 * Makes what has code that is hot be interrupted, for {@link PagingPrograms}: single steps, breakpoints on instructions and
 * data, floating-point exceptions that are not masked.
 */
final class PagingTraps {
    private final Random random;
    private final PagingAccesses accesses;

    PagingTraps(Random random, PagingAccesses accesses) {
        this.random = random;
        this.accesses = accesses;
    }

    /** Some accesses, each instruction of which traps; {@code base} is where the code will see itself. */
    void singleSteps(LitmusProgram.Code code, int base, boolean user) {
        code.hex("9c810c24").int32(Cpu.TF).hex("9d"); // pushf; or dword [rsp], TF; popf
        accesses.some(code, base, user);
        if (random.nextInt(4) != 0) {
            code.hex("9c812424").int32(~Cpu.TF).hex("9d");
        }
    }

    /** Arms breakpoints, on data of pages and on functions or instructions at these places of the program, and mostly disarms them. */
    void breakpoints(LitmusProgram.Code code, List<Integer> starts) {
        int control = 0;
        for (int number = random.nextInt(4); number < 4; number += 1 + random.nextInt(3)) {
            int kind = List.of(0, 0, 1, 3).get(random.nextInt(4));
            long address;
            if (kind != 0) {
                address = accesses.data();
            } else if (random.nextBoolean()) {
                address = accesses.anyFunction();
            } else {
                int view = random.nextBoolean() ? PagingMachine.USER : 0;
                address = PagingMachine.CODE + view + starts.get(random.nextInt(starts.size()));
            }
            int length = kind == 0 ? 0 : random.nextInt(4);
            control |= 1 << 2 * number + random.nextInt(2) | (length << 2 | kind) << 16 + 4 * number;
            code.hex("48b8").int64(address).hex("0f23" + "%02x".formatted(0xc0 | number << 3));
        }
        code.hex("b8").int32(control).hex("0f23f8"); // mov dr7, rax
        accesses.some(code, PagingMachine.CODE, false);
        if (random.nextInt(3) != 0) {
            code.hex("31c00f23f8");
        }
    }

    /** Arithmetic with some exceptions unmasked, again and again. */
    void vectors(LitmusProgram.Code code) {
        code.hex("41bd").int32(1 + random.nextInt(6));
        int start = code.size();
        control(code, (0x1f80 & ~(random.nextInt() & 0x1f80)) | random.nextInt(4) << 13 | random.nextInt(4) >> 1 << 15);
        String[] prefixes = {"", "66", "f3", "f2"};
        String[] operations = {"5e", "5e", "51", "59", "58", "5c", "5d"}; // DIV, SQRT, MUL, ADD, SUB, MIN
        for (int i = 1 + random.nextInt(6); i > 0; i--) {
            String opcode = prefixes[random.nextInt(4)] + "0f" + operations[random.nextInt(operations.length)];
            if (random.nextBoolean()) {
                accesses.guarded(
                        code,
                        body -> body.hex(opcode + "%02x".formatted(0xc0 | random.nextInt(4) << 3 | random.nextInt(4))));
            } else {
                accesses.guarded(
                        code,
                        body -> body.hex(opcode + "%02x25".formatted(4 | random.nextInt(4) << 3))
                                .int32(accesses.data() & -16));
            }
        }
        code.hex("41ffcd0f85").int32(start - code.size() - 4);
        control(code, 0x1f80);
    }

    /** push ...; ldmxcsr [rsp]; pop rax. */
    private static void control(LitmusProgram.Code code, int value) {
        code.hex("68").int32(value).hex("0fae142458");
    }

    /** The same by the x87, whose exceptions come with its next instruction. */
    void x87(LitmusProgram.Code code) {
        code.hex("41bd").int32(1 + random.nextInt(6));
        int start = code.size();
        code.hex("dbe368").int32(0x340 | random.nextInt(64)).hex("d92c2458"); // fninit; push ...; fldcw [rsp]; pop rax
        String[] operations = {"d9e8", "d9ee", "d9eb", "def9", "dec9", "d9fa", "d9c9", "ddd8", "9b", "dec1", "d9e0"};
        for (int i = 3 + random.nextInt(9); i > 0; i--) {
            if (random.nextInt(4) != 0) {
                code.hex(operations[random.nextInt(operations.length)]);
            } else {
                String opcode = List.of("dd0425", "db2c25", "dd1c25", "df3c25", "dc3425")
                        .get(random.nextInt(5));
                accesses.guarded(code, body -> body.hex(opcode).int32(accesses.data()));
            }
        }
        code.hex("41ffcd0f85").int32(start - code.size() - 4);
        code.hex("dbe3");
    }
}
