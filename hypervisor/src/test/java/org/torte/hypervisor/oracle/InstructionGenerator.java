package org.torte.hypervisor.oracle;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.random.RandomGenerator;
import org.jspecify.annotations.Nullable;
import org.torte.hypervisor.x86.Decoder;
import org.torte.hypervisor.x86.Form;
import org.torte.hypervisor.x86.Instruction;
import org.torte.hypervisor.x86.Operand;
import org.torte.hypervisor.x86.Operation;

/**
 * Random encodings of forms of the instruction table and short programs of them, with addresses that
 * {@link StateGenerator} can serve.
 */
public final class InstructionGenerator {
    private static final byte[] EDGES = {0, 1, 2, 7, 8, 15, 16, 31, 32, 33, 63, 64, 127, -128, -1};
    private static final int[] SEGMENT_PREFIXES = {0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65};
    private static final long CODE_END = AddressSpace.CODE + AddressSpace.CODE_PAGES * 0x1000L;

    private final RandomGenerator random;
    private final Map<Form, Encoding> encodings = new HashMap<>();

    public InstructionGenerator(RandomGenerator random) {
        this.random = random;
    }

    /** A program of these forms in this order, or null if a few tries gave none (because one is not of this mode, say). */
    public @Nullable TestProgram generate(List<Form> forms, CodeMode mode) {
        int[] selectors = selectors(mode);
        List<byte[]> codes = new ArrayList<>();
        int length = 0;
        for (Form form : forms) {
            byte[] code = encoding(form, mode);
            if (code == null) {
                return null;
            }
            codes.add(code);
            length += code.length;
        }
        if (length > CaseRecord.CODE_SIZE - 1) {
            return null;
        }
        long address = address(length, selectors[CaseRecord.CS]);
        List<Instruction> instructions = new ArrayList<>();
        long at = address;
        for (int i = 0; i < codes.size(); i++) {
            byte[] code = codes.get(i);
            Instruction instruction = new Instruction();
            decode(Arrays.copyOf(code, 16), mode, instruction);
            aim(code, instruction, at, mode, selectors);
            branch(code, instruction, codes.subList(i + 1, codes.size()));
            decode(Arrays.copyOf(code, 16), mode, instruction);
            instructions.add(instruction);
            at += code.length;
        }
        return new TestProgram(mode, address, selectors, List.copyOf(instructions), List.copyOf(codes));
    }

    /** Segments with which most accesses succeed. */
    private int[] selectors(CodeMode mode) {
        int[] s = new int[6];
        switch (mode) {
            case LONG -> {
                s[CaseRecord.CS] = AddressSpace.FLAT_CODE_64;
                s[CaseRecord.SS] = AddressSpace.FLAT_DATA;
                s[CaseRecord.ES] = pick(0, AddressSpace.FLAT_DATA, AddressSpace.LOW_DATA);
                s[CaseRecord.DS] = pick(0, AddressSpace.FLAT_DATA, AddressSpace.LOW_DATA);
            }
            case FLAT_32 -> {
                s[CaseRecord.CS] = pick(AddressSpace.FLAT_CODE_32, AddressSpace.CODE_32);
                s[CaseRecord.SS] = AddressSpace.FLAT_DATA;
                s[CaseRecord.ES] = AddressSpace.FLAT_DATA;
                s[CaseRecord.DS] = AddressSpace.FLAT_DATA;
            }
            default -> {
                boolean wide = mode == CodeMode.SEGMENTED_32;
                s[CaseRecord.CS] =
                        wide ? AddressSpace.SHORT_CODE_32 : pick(AddressSpace.CODE_16, AddressSpace.SHORT_CODE_16);
                s[CaseRecord.SS] = pick(
                        AddressSpace.STACK_16, AddressSpace.SHORT_DATA, AddressSpace.DOWN_32, AddressSpace.DOWN_16);
                s[CaseRecord.ES] = data();
                s[CaseRecord.DS] = data();
            }
        }
        s[CaseRecord.FS] = AddressSpace.LOW_DATA;
        s[CaseRecord.GS] = AddressSpace.HIGH_DATA;
        return s;
    }

    private int data() {
        return switch (random.nextInt(24)) {
            case 0 -> 0;
            case 1, 2 -> AddressSpace.CONSTANT_DATA;
            case 3 -> AddressSpace.DOWN_32;
            case 4 -> AddressSpace.DOWN_16;
            case 5 -> AddressSpace.STACK_16;
            case 6 -> AddressSpace.LOW_DATA;
            default -> AddressSpace.SHORT_DATA;
        };
    }

    private int pick(int... choices) {
        return choices[random.nextInt(choices.length)];
    }

    /** Mostly in the middle of the first page; else across a page boundary, the code's end, or the segment's limit. */
    private long address(int length, int codeSegment) {
        int before = 1 + random.nextInt(length);
        return switch (random.nextInt(24)) {
            case 0 -> AddressSpace.CODE + 0x1000 - before;
            case 1 ->
                codeSegment == AddressSpace.SHORT_CODE_32 || codeSegment == AddressSpace.SHORT_CODE_16
                        ? AddressSpace.CODE + 0x1800 - before
                        : CODE_END - before;
            default -> CaseRecord.CODE;
        };
    }

    private byte @Nullable [] encoding(Form form, CodeMode mode) {
        for (int attempt = 0; attempt < 40; attempt++) {
            byte[] code = encode(form, mode);
            Instruction instruction = new Instruction();
            int length = decode(code, mode, instruction);
            if (instruction.form == form && length <= 15) {
                return Arrays.copyOf(code, length);
            }
        }
        return null;
    }

    private static int decode(byte[] code, CodeMode mode, Instruction instruction) {
        return Decoder.decode(offset -> code[offset] & 0xFF, mode.bits(), instruction);
    }

    private byte[] encode(Form form, CodeMode mode) {
        ByteBuffer out = ByteBuffer.allocate(64);
        Encoding encoding = encodings.computeIfAbsent(form, f -> Encoding.of(f.encoding()));
        boolean mode64 = mode == CodeMode.LONG;
        boolean sized = encoding.mandatory() != 0x66 && !encoding.plain() && !(mode64 && nearBranch(form));
        if (random.nextInt(mode64 ? 16 : 4) == 0) {
            out.put((byte) 0x67);
        }
        if (sized && random.nextInt(4) == 0) {
            out.put((byte) 0x66);
        }
        if (random.nextInt(12) == 0) {
            out.put((byte) SEGMENT_PREFIXES[random.nextInt(6)]);
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
            int extensions = mode64 ? random.nextInt(8) : 6 | random.nextInt(2);
            out.put((byte) 0xC4)
                    .put((byte) (extensions << 5 | (encoding.map() == 0x38 ? 2 : 3)))
                    .put((byte) second);
        } else {
            if (encoding.mandatory() != 0) {
                out.put((byte) encoding.mandatory());
            }
            if (mode64 && random.nextInt(3) != 0) {
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
            int reg = encoding.digit() >= 0 ? encoding.digit() : random.nextInt(8);
            out.put((byte) ((random.nextBoolean() ? 3 : random.nextInt(3)) << 6 | reg << 3 | random.nextInt(8)));
        }
        // SIB, displacement and immediates: as many as the decoder asks for.
        if (random.nextBoolean()) {
            out.put((byte) random.nextInt());
        }
        if (random.nextBoolean()) {
            out.order(ByteOrder.LITTLE_ENDIAN).putInt(random.nextInt() >> random.nextInt(32));
        }
        for (int i = 0; i < 10; i++) {
            out.put(random.nextBoolean() ? EDGES[random.nextInt(EDGES.length)] : (byte) random.nextInt());
        }
        return out.array();
    }

    /** With 66 in 64-bit mode, AMD's processors truncate the target and Intel's do not. */
    private static boolean nearBranch(Form form) {
        return switch (form.operation()) {
            case JCC, JMP, CALL, RET, LOOP, LOOPE, LOOPNE, JRCXZ -> true;
            default -> false;
        };
    }

    /** Makes a branch go to the start of one of the instructions that follow, or behind the last. */
    private void branch(byte[] code, Instruction in, List<byte[]> following) {
        int distance = 0;
        int passed = random.nextInt(following.size() + 1);
        for (int i = 0; i < passed; i++) {
            distance += following.get(i).length;
        }
        boolean behind = passed == following.size();
        ByteBuffer bytes = ByteBuffer.wrap(code);
        for (Operand operand : in.form.operands()) {
            switch (operand) {
                case JB -> put(bytes, code.length, 1, distance + (behind ? random.nextInt(32) : 0));
                case JZ ->
                    put(
                            bytes,
                            code.length,
                            in.operandSize == 2 ? 2 : 4,
                            distance + (behind ? random.nextInt(1000) : 0));
                default -> {}
            }
        }
    }

    /** Patches absolute and instruction-relative addresses so that they lie in the data. */
    private void aim(byte[] code, Instruction in, long address, CodeMode mode, int[] selectors) {
        ByteBuffer bytes = ByteBuffer.wrap(code).order(ByteOrder.LITTLE_ENDIAN);
        int immediate = 0;
        if (in.form.operation() == Operation.INT) {
            // Neither the gates that user code may use nor a system call.
            code[code.length - 1] = (byte) (5 + random.nextInt(0x60));
        }
        for (Operand operand : in.form.operands()) {
            switch (operand) {
                case OB, OV -> put(bytes, code.length, in.addressSize, target() - base(in.segment, mode, selectors));
                case AP -> {
                    int selector = StateGenerator.codeSelector(random, in, mode);
                    bytes.putShort(code.length - 2, (short) selector);
                    long offset = AddressSpace.CODE + 0x100 - AddressSpace.base(selector);
                    put(bytes, code.length - 2, in.operandSize, offset + random.nextInt(0x600));
                }
                case IB, SIB -> immediate += 1;
                case IW -> immediate += 2;
                case IZ -> immediate += in.operandSize == 2 ? 2 : 4;
                default -> {}
            }
        }
        if (in.memory && in.form.hasModrm() && in.index == Instruction.NONE) {
            int place = code.length - immediate;
            if (in.base == Instruction.NONE) {
                put(bytes, place, Math.min(in.addressSize, 4), target() - base(in.segment, mode, selectors));
            } else if (in.base == Instruction.RIP) {
                put(bytes, place, 4, target() - base(in.segment, mode, selectors) - address - code.length);
            }
        }
    }

    private static long base(int segment, CodeMode mode, int[] selectors) {
        return mode == CodeMode.LONG && segment < CaseRecord.FS ? 0 : AddressSpace.base(selectors[segment]);
    }

    private static void put(ByteBuffer bytes, int end, int size, long value) {
        for (int i = 0; i < size; i++) {
            bytes.put(end - size + i, (byte) (value >>> 8 * i));
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
