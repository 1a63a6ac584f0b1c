package org.torte.hypervisor.oracle;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.Random;
import org.jspecify.annotations.Nullable;
import org.torte.hypervisor.x86.Decoder;
import org.torte.hypervisor.x86.Form;
import org.torte.hypervisor.x86.Instruction;
import org.torte.hypervisor.x86.Operand;

/** Random encodings of a form of the instruction table, for 64-bit mode, with addresses that {@link StateGenerator} can serve. */
public final class InstructionGenerator {
    /** An encoded instruction and how the decoder sees it. */
    @SuppressWarnings("ArrayRecordComponent") // never compared
    public record Generated(byte[] code, Instruction instruction) {}

    private static final byte[] EDGES = {0, 1, 2, 7, 8, 15, 16, 31, 32, 33, 63, 64, 127, -128, -1};

    private final Random random;

    public InstructionGenerator(Random random) {
        this.random = random;
    }

    /** An encoding of this form, or null if a few tries gave none (because it is none of 64-bit mode, say). */
    public @Nullable Generated generate(Form form) {
        for (int attempt = 0; attempt < 40; attempt++) {
            byte[] code = encode(form);
            Instruction instruction = new Instruction();
            int length = decode(code, instruction);
            if (instruction.form == form) {
                byte[] exact = Arrays.copyOf(code, length);
                aim(exact, instruction);
                decode(Arrays.copyOf(exact, 16), instruction);
                return new Generated(exact, instruction);
            }
        }
        return null;
    }

    private static int decode(byte[] code, Instruction instruction) {
        return Decoder.decode(offset -> code[offset] & 0xFF, 64, instruction);
    }

    private byte[] encode(Form form) {
        ByteBuffer out = ByteBuffer.allocate(64);
        Encoding encoding = Encoding.of(form.encoding());
        boolean sized = encoding.mandatory() == 0 && !encoding.plain() && !nearBranch(form);
        if (random.nextInt(16) == 0) {
            out.put((byte) 0x67);
        }
        if (sized && random.nextInt(4) == 0) {
            out.put((byte) 0x66);
        }
        if (random.nextInt(30) == 0) {
            out.put((byte) 0x2E);
        }
        if (form.isRepeatable() && random.nextBoolean()) {
            out.put((byte) (random.nextBoolean() ? 0xF2 : 0xF3));
        }
        if (form.allowsLock() && random.nextInt(4) == 0) {
            out.put((byte) 0xF0);
        }
        if (encoding.vex()) {
            int prefix = encoding.mandatory() == 0x66
                    ? 1
                    : encoding.mandatory() == 0xF3 ? 2 : encoding.mandatory() == 0xF2 ? 3 : 0;
            boolean register = form.operands().contains(Operand.BY);
            int second = random.nextInt(2) << 7 | (register ? random.nextInt(16) : 15) << 3 | prefix;
            out.put((byte) 0xC4)
                    .put((byte) (random.nextInt(8) << 5 | (encoding.map() == 0x38 ? 2 : 3)))
                    .put((byte) second);
        } else {
            if (encoding.mandatory() != 0) {
                out.put((byte) encoding.mandatory());
            }
            if (random.nextInt(3) != 0) {
                out.put((byte) (0x40 | random.nextInt(16)));
            }
            if (encoding.map() != 0) {
                out.put((byte) 0x0F);
            }
            if (encoding.map() > 0x0F) {
                out.put((byte) encoding.map());
            }
        }
        out.put((byte) (encoding.opcode() + (encoding.count() == 1 ? 0 : random.nextInt(encoding.count()))));
        if (encoding.modrm() >= 0) {
            out.put((byte) (encoding.modrm() + (encoding.modrmCount() == 1 ? 0 : random.nextInt(8))));
        } else if (form.hasModrm()) {
            int mod = random.nextBoolean() ? 3 : random.nextInt(3);
            int reg = encoding.digit() >= 0 ? encoding.digit() : random.nextInt(8);
            int rm = random.nextInt(8);
            out.put((byte) (mod << 6 | reg << 3 | rm));
            if (mod != 3) {
                int sib = random.nextInt(256);
                if (rm == 4) {
                    out.put((byte) sib);
                }
                if (mod == 1) {
                    out.put((byte) random.nextInt());
                } else if (mod == 2 || rm == 5 || rm == 4 && (sib & 7) == 5) {
                    out.putInt(random.nextInt() >> random.nextInt(32));
                }
            }
        }
        for (int i = 0; i < 10; i++) {
            out.put(random.nextBoolean() ? EDGES[random.nextInt(EDGES.length)] : (byte) random.nextInt());
        }
        return out.array();
    }

    /** With 66, AMD's processors truncate the target and Intel's do not. */
    private static boolean nearBranch(Form form) {
        return switch (form.operation()) {
            case JCC, JMP, CALL, RET, LOOP, LOOPE, LOOPNE, JRCXZ -> true;
            default -> false;
        };
    }

    /** Patches absolute and instruction-relative addresses so that they lie in the data, and branches onto INT3. */
    private void aim(byte[] code, Instruction in) {
        ByteBuffer bytes = ByteBuffer.wrap(code).order(ByteOrder.LITTLE_ENDIAN);
        int immediate = 0;
        for (Operand operand : in.form.operands()) {
            switch (operand) {
                case JB -> code[code.length - 1] = (byte) random.nextInt(32);
                case JZ -> bytes.putInt(code.length - 4, random.nextInt(1000));
                case OB, OV -> {
                    if (in.addressSize == 8) {
                        bytes.putLong(code.length - 8, target());
                    } else {
                        bytes.putInt(code.length - 4, (int) target());
                    }
                }
                case IB, SIB -> immediate += 1;
                case IW -> immediate += 2;
                case IZ -> immediate += in.operandSize == 2 ? 2 : 4;
                default -> {}
            }
        }
        if (in.memory && in.form.hasModrm() && in.index == Instruction.NONE) {
            int place = code.length - immediate - 4;
            if (in.base == Instruction.NONE) {
                bytes.putInt(place, (int) target());
            } else if (in.base == Instruction.RIP) {
                bytes.putInt(place, (int) (target() - CaseRecord.CODE - code.length));
            }
        }
    }

    private long target() {
        return StateGenerator.target(random);
    }

    /** The opcode column of the instruction table, taken apart. */
    private record Encoding(
            boolean vex,
            boolean plain,
            int mandatory,
            int map,
            int opcode,
            int count,
            int digit,
            int modrm,
            int modrmCount) {
        static Encoding of(String text) {
            String[] tokens = text.split(" ", -1);
            boolean vex = false;
            boolean plain = false;
            int mandatory = 0;
            int map = 0;
            int opcode = -1;
            int count = 1;
            int digit = -1;
            int modrm = -1;
            int modrmCount = 1;
            for (int i = 0; i < tokens.length; i++) {
                String token = tokens[i];
                boolean more = i + 1 < tokens.length && !tokens[i + 1].startsWith("/");
                if (token.equals("VEX")) {
                    vex = true;
                } else if (token.equals("NP")) {
                    plain = true;
                } else if (token.equals("NFx")) {
                    plain = false;
                } else if (token.startsWith("/")) {
                    digit = token.charAt(1) - '0';
                } else {
                    int value = Integer.parseInt(token.substring(0, 2), 16);
                    boolean range = token.length() == 4;
                    if (opcode >= 0) {
                        modrm = value;
                        modrmCount = range ? 8 : 1;
                    } else if (more && map == 0 && (value == 0x66 || value == 0xF2 || value == 0xF3)) {
                        mandatory = value;
                    } else if (more && map == 0 && value == 0x0F
                            || more && map == 0x0F && (value == 0x38 || value == 0x3A)) {
                        map = value;
                    } else {
                        opcode = value;
                        count = !range ? 1 : token.endsWith("c") ? 16 : 8;
                    }
                }
            }
            return new Encoding(vex, plain, mandatory, map, opcode, count, digit, modrm, modrmCount);
        }
    }
}
