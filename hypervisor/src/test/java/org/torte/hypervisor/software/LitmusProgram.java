package org.torte.hypervisor.software;

import java.io.ByteArrayOutputStream;
import java.util.ArrayList;
import java.util.List;

/**
 * What the processors of a litmus test do, as a reader of the literature would write it, one text for each processor:
 *
 * <pre>
 *  x=1     store: every byte of x becomes 1        x:=1    the same by XCHG, which locks
 *  r0=x    load into the outcome's place 0         mfence, lock    fences: MFENCE, LOCK OR on the stack
 * </pre>
 *
 * Each iteration has fresh variables, zero at first. The processors meet every now and then, so that they execute the same
 * iterations at about the same time.
 */
final class LitmusProgram {
    /** A variable's place in its iteration's area, and the bytes of an access to it. */
    record Variable(int offset, int size) {}

    /** Bytes of one iteration's variables, of one iteration's results, and of the place where processors meet. */
    static final int AREA = 256, RESULTS = 64, MEETING = 64;

    private final Variable x;
    private final Variable y;
    private final List<String> processors;

    LitmusProgram(Variable x, Variable y, List<String> processors) {
        this.x = x;
        this.y = y;
        this.processors = List.copyOf(processors);
    }

    int processorCount() {
        return processors.size();
    }

    Variable variable(String name) {
        return name.equals("x") ? x : y;
    }

    /** The variable that is loaded into a place of the outcome. */
    Variable loadedInto(int place) {
        return processors.stream()
                .flatMap(text -> steps(text).stream())
                .filter(step -> step.startsWith("r" + place + "="))
                .map(step -> variable(step.substring(3)))
                .findFirst()
                .orElseThrow();
    }

    private static List<String> steps(String processor) {
        return List.of(processor.split("; *", -1));
    }

    /**
     * The code of one processor: rbx is the first area, rdi the first results, rsi the first meeting place, rcx the
     * number of iterations; it ends with a write to port 0xf4.
     */
    byte[] code(int processor) {
        Code code = new Code();
        int loop = code.size();
        code.hex("f6c11f750e"); // test cl, 31; jnz behind the meeting: once in 32 iterations is enough
        code.hex("f048ff06"); // lock inc qword [rsi]
        code.hex("48833e").hex("%02x".formatted(processors.size())); // cmp qword [rsi], processors
        code.hex("7304f390ebf6"); // jae +4; pause; jmp back to the comparison
        // A wait that differs from iteration to iteration and from processor to processor.
        code.hex("69d1").int32(0x9E3779B1 * (2 * processor + 1)); // imul edx, ecx, ...
        code.hex("c1ea1b"); // shr edx, 27
        code.hex("83ea01").hex("73fb"); // sub edx, 1; jae back
        List<Integer> results = new ArrayList<>();
        for (String step : steps(processors.get(processor))) {
            step(code, step, results);
        }
        for (int i = 0; i < results.size(); i++) {
            // mov [rdi + 8 * place], r8 + i
            code.hex("4c89%02x".formatted(0x87 | i << 3)).int32(8 * results.get(i));
        }
        code.hex("4881c3").int32(AREA); // add rbx, ...
        code.hex("4881c7").int32(RESULTS); // add rdi, ...
        code.hex("4883c6%02x".formatted(MEETING)); // add rsi, ...
        code.hex("48ffc9"); // dec rcx
        code.hex("0f85").int32(loop - code.size() - 4); // jnz loop
        code.hex("e6f4f4ebfd"); // out 0xf4, al; hlt; jmp back
        return code.bytes();
    }

    private void step(Code code, String step, List<Integer> results) {
        switch (step) {
            case "mfence" -> code.hex("0faef0");
            case "lock" -> code.hex("f0830c2400");
            default -> {
                if (step.startsWith("r")) {
                    Variable from = variable(step.substring(3));
                    String modrm = "%02x".formatted(0x83 | results.size() << 3);
                    results.add(step.charAt(1) - '0');
                    code.hex(
                            switch (from.size) {
                                case 1 -> "440fb6";
                                case 2 -> "440fb7";
                                case 4 -> "448b";
                                default -> "4c8b";
                            });
                    code.hex(modrm).int32(from.offset);
                } else {
                    Variable to = variable(step.substring(0, 1));
                    boolean exchange = step.charAt(1) == ':';
                    long value = (step.charAt(step.length() - 1) - '0') * 0x0101010101010101L;
                    code.hex("48b8").int32((int) value).int32((int) (value >>> 32)); // mov rax, ...
                    String opcode = exchange ? "87" : "89";
                    code.hex(
                            switch (to.size) {
                                case 1 -> exchange ? "86" : "88";
                                case 2 -> "66" + opcode;
                                case 4 -> opcode;
                                default -> "48" + opcode;
                            });
                    code.hex("83").int32(to.offset);
                }
            }
        }
    }

    /** Machine code while it is written. */
    static final class Code {
        private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();

        int size() {
            return bytes.size();
        }

        Code hex(String text) {
            bytes.writeBytes(java.util.HexFormat.of().parseHex(text));
            return this;
        }

        byte[] bytes() {
            return bytes.toByteArray();
        }

        Code int64(long value) {
            return int32((int) value).int32((int) (value >>> 32));
        }

        Code int32(int value) {
            for (int i = 0; i < 32; i += 8) {
                bytes.write(value >>> i);
            }
            return this;
        }
    }
}
