package org.torte.hypervisor.x86;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;

/**
 * The instruction table, parsed from instructions.txt when the class is initialised, and the decoder's index of it.
 *
 * <p>The index has up to three levels. {@link #ROOT} is addressed by map, opcode, mandatory prefix and 64-bit mode. An
 * entry of 0 or more is a form's number; a negative one, complemented, is the start of a group of 16 in {@link #GROUPS}
 * addressed by ModRM.reg and, 8 entries later, the same for ModRM.mod = 3. There a negative entry, complemented, is the
 * start of 8 entries addressed by ModRM.rm. ModRM has to be read for an entry exactly if it is a group or its form says
 * so.
 */
final class InstructionTable {
    static final Form[] FORMS;
    static final short[] ROOT;
    static final short[] GROUPS;

    // Opcode maps.
    static final int MAP_ONE_BYTE = 0;
    static final int MAP_0F = 1;
    static final int MAP_0F38 = 2;
    static final int MAP_0F3A = 3;
    static final int MAP_VEX_0F38 = 4;
    static final int MAP_VEX_0F3A = 5;
    private static final int MAPS = 6;

    // Mandatory prefixes.
    static final int PREFIX_NONE = 0;
    static final int PREFIX_66 = 1;
    static final int PREFIX_F3 = 2;
    static final int PREFIX_F2 = 3;

    private static final int GROUP_SIZE = 16;

    static {
        Builder builder = new Builder();
        builder.parse(read());
        FORMS = Arrays.copyOf(builder.forms, builder.formCount);
        ROOT = builder.root;
        GROUPS = Arrays.copyOf(builder.groups, builder.groupsUsed);
    }

    private InstructionTable() {}

    /** Where {@link #ROOT} has an opcode. */
    static int rootIndex(int map, int opcode, int prefix, boolean mode64) {
        return map << 11 | opcode << 3 | prefix << 1 | (mode64 ? 1 : 0);
    }

    private static byte[] read() {
        try (InputStream in = InstructionTable.class.getResourceAsStream("instructions.txt")) {
            if (in == null) {
                throw new IllegalStateException("The resource instructions.txt is missing");
            }
            return in.readAllBytes();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Reads the text one byte at a time: it is on the path of every start. */
    private static final class Builder {
        Form[] forms = new Form[1024];
        int formCount;
        final short[] root = new short[MAPS << 11];
        short[] groups = new short[1 << 15];
        int groupsUsed;

        private final Map<String, Operation> operations = new HashMap<>(2048);
        private final Map<String, Operand> operands = new HashMap<>(256);
        private final Map<String, Feature> features = new HashMap<>(128);

        private byte[] text = {};
        private int at;

        // The encoding of the line being read.
        private int map;
        private int opcode;
        private int opcodeCount;
        /** Bit n: mandatory prefix n. */
        private int prefixes;
        /** ModRM.reg or -1 for any. */
        private int digit;
        /** The first ModRM byte with mod 3, or -1 for any. */
        private int modrmByte;

        private int modrmByteCount;
        /** Bit 0: memory allowed; bit 1: registers allowed. */
        private int mods;
        /** Bit 0: other modes; bit 1: 64-bit mode. */
        private int modes;

        private boolean unaligned;

        void parse(byte[] source) {
            for (Operation operation : Operation.values()) {
                operations.put(operation.name(), operation);
            }
            for (Operand operand : Operand.values()) {
                operands.put(operand.name(), operand);
            }
            operands.put("1", Operand.ONE);
            for (Feature feature : Feature.values()) {
                features.put(feature.name(), feature);
            }
            add(Form.INVALID);
            text = source;
            while (at < text.length) {
                if (text[at] == '#' || text[at] == '\n') {
                    while (text[at++] != '\n') {}
                } else {
                    line();
                }
            }
        }

        private void add(Form form) {
            if (formCount == forms.length) {
                forms = Arrays.copyOf(forms, 2 * formCount);
            }
            form.index = formCount;
            forms[formCount++] = form;
        }

        private void line() {
            Form form = new Form();
            int start = at;
            encoding(form);
            form.encoding = string(start, at);
            skipBar();
            form.operation = find(operations, word());
            skipBar();
            while (text[at] != '|' && text[at] != '\n') {
                operand(form, find(operands, word().toUpperCase(Locale.ROOT)));
                while (text[at] == ',' || text[at] == ' ') {
                    at++;
                }
            }
            if (text[at] == '|') {
                at++;
            }
            modes = 3;
            unaligned = false;
            while (text[at] != '\n') {
                if (text[at] == ' ') {
                    at++;
                } else {
                    attribute(form, word());
                }
            }
            at++;
            if (digit >= 0 || modrmByte >= 0) {
                form.modrm = true;
            }
            for (Operand operand : form.operands) {
                form.aligned |= !unaligned && operand.maySize16Memory();
            }
            place(form);
        }

        private void encoding(Form form) {
            map = MAP_ONE_BYTE;
            prefixes = 15;
            digit = -1;
            modrmByte = -1;
            opcodeCount = 1;
            modrmByteCount = 1;
            mods = 3;
            boolean opcodeSeen = false;
            while (text[at] != '|' && text[at] != '\n') {
                if (text[at] == ' ') {
                    at++;
                    continue;
                }
                String token = word();
                switch (token) {
                    case "VEX" -> form.vex = true;
                    case "NP" -> prefixes = 1 << PREFIX_NONE;
                    case "NFx" -> prefixes = 1 << PREFIX_NONE | 1 << PREFIX_66;
                    default -> opcodeSeen = opcodeToken(form, token, opcodeSeen);
                }
            }
        }

        private boolean opcodeToken(Form form, String token, boolean opcodeSeen) {
            if (token.charAt(0) == '/') {
                digit = token.charAt(1) - '0';
                return true;
            }
            int value = Character.digit(token.charAt(0), 16) << 4 | Character.digit(token.charAt(1), 16);
            boolean range = token.length() == 4;
            if (opcodeSeen) {
                modrmByte = value;
                modrmByteCount = range ? 8 : 1;
                mods = 2;
                return true;
            }
            boolean last = text[at] == '|' || !anotherByte();
            if (!last && map == MAP_ONE_BYTE) {
                switch (value) {
                    case 0x66 -> {
                        prefixes = 1 << PREFIX_66;
                        form.mandatory66 = true;
                        return false;
                    }
                    case 0xF3 -> {
                        prefixes = 1 << PREFIX_F3;
                        return false;
                    }
                    case 0xF2 -> {
                        prefixes = 1 << PREFIX_F2;
                        return false;
                    }
                    case 0x0F -> {
                        map = MAP_0F;
                        return false;
                    }
                    default -> {}
                }
            } else if (!last && map == MAP_0F && (value == 0x38 || value == 0x3A)) {
                map = value == 0x38 ? MAP_0F38 : MAP_0F3A;
                return false;
            }
            if (form.vex) {
                map += MAP_VEX_0F38 - MAP_0F38;
            }
            opcode = value;
            if (range) {
                opcodeCount = token.charAt(3) == 'c' ? 16 : 8;
            }
            return true;
        }

        /** Whether the opcode column goes on with another byte, after blanks. */
        private boolean anotherByte() {
            int i = at;
            while (text[i] == ' ') {
                i++;
            }
            return Character.digit(text[i], 16) >= 0;
        }

        private void operand(Form form, Operand operand) {
            form.operands = Arrays.copyOf(form.operands, form.operands.length + 1);
            form.operands[form.operands.length - 1] = operand;
            switch (operand.place()) {
                case REG -> {
                    form.modrm = true;
                    form.reg8 |= operand.kind() == Operand.Kind.MMX || operand.kind() == Operand.Kind.SEGMENT;
                }
                case RM -> form.modrm = true;
                case RM_REGISTER -> {
                    form.modrm = true;
                    mods &= 2;
                }
                case RM_MEMORY -> {
                    form.modrm = true;
                    mods &= 1;
                }
                case VVVV -> form.usesVvvv = true;
                case IMMEDIATE -> form.immediateRule = immediateRule(form.immediateRule, operand);
                case OFFSET -> form.immediateRule = Form.IMM_OFFSET;
                case STRING_SOURCE -> form.implicitData = true;
                default -> {}
            }
            if (operand.isRm()) {
                form.rm8 |= operand.kind() == Operand.Kind.MMX || operand.kind() == Operand.Kind.X87;
            }
            form.atLeastDword |= operand.isY();
        }

        private static int immediateRule(int before, Operand operand) {
            return switch (operand) {
                case IB -> before == Form.IMM_WORD ? Form.IMM_ENTER : Form.IMM_BYTE;
                case SIB, JB -> Form.IMM_BYTE_SIGNED;
                case IW -> Form.IMM_WORD;
                case IZ, JZ -> Form.IMM_Z;
                case IV -> Form.IMM_V;
                default -> Form.IMM_FAR;
            };
        }

        private void attribute(Form form, String attribute) {
            switch (attribute) {
                case "i64" -> modes = 1;
                case "o64" -> modes = 2;
                case "d64" -> form.sizeRule = Form.SIZE_D64;
                case "f64" -> form.sizeRule = Form.SIZE_F64;
                case "lock" -> form.lock = true;
                case "rep" -> form.repeatable = true;
                case "cpl0" -> form.privileged = true;
                case "iopl" -> form.ioPrivileged = true;
                case "mem" -> mods = 1;
                case "reg" -> mods = 2;
                case "anymod" -> {
                    form.anyMod = true;
                    mods = 3;
                }
                case "ds" -> form.implicitData = true;
                case "unaligned" -> unaligned = true;
                default -> {
                    if (attribute.length() > 1 && attribute.charAt(1) == '=') {
                        int flags = flags(attribute);
                        switch (attribute.charAt(0)) {
                            case 'w' -> form.flagsWritten = flags;
                            case 'u' -> form.flagsUndefined = flags;
                            default -> form.flagsRead = flags;
                        }
                    } else {
                        form.feature = find(features, attribute.toUpperCase(Locale.ROOT));
                    }
                }
            }
        }

        private static int flags(String attribute) {
            int mask = 0;
            for (int i = 2; i < attribute.length(); i++) {
                mask |= switch (attribute.charAt(i)) {
                    case 'o' -> Form.OF;
                    case 'd' -> Form.DF;
                    case 'i' -> Form.IF;
                    case 's' -> Form.SF;
                    case 'z' -> Form.ZF;
                    case 'a' -> Form.AF;
                    case 'p' -> Form.PF;
                    case 'c' -> Form.CF;
                    default -> throw new IllegalStateException("Unknown flag in " + attribute);
                };
            }
            return mask;
        }

        private static <T> T find(Map<String, T> map, String name) {
            T found = map.get(name);
            if (found == null) {
                throw new IllegalStateException("instructions.txt: unknown name " + name);
            }
            return found;
        }

        /** Enters the form into the index. */
        private void place(Form form) {
            if (form.operation == Operation.INVALID) {
                form = Form.INVALID;
            } else {
                add(form);
            }
            boolean selective = digit >= 0 || modrmByte >= 0 || mods != 3;
            for (int mode = 0; mode < 2; mode++) {
                for (int prefix = 0; prefix < 4; prefix++) {
                    if ((modes >> mode & 1) == 0 || (prefixes >> prefix & 1) == 0) {
                        continue;
                    }
                    for (int i = 0; i < opcodeCount; i++) {
                        int slot = rootIndex(map, opcode + i, prefix, mode == 1);
                        if (selective) {
                            placeInGroup((short) form.index, slot);
                        } else {
                            root[slot] = (short) form.index;
                        }
                    }
                }
            }
        }

        private void placeInGroup(short form, int slot) {
            if (root[slot] >= 0) {
                root[slot] = (short) ~newGroup(GROUP_SIZE, root[slot]);
            }
            int group = ~root[slot];
            if (modrmByte >= 0) {
                int entry = group + 8 + (modrmByte >> 3 & 7);
                if (modrmByteCount == 8) {
                    groups[entry] = form;
                } else {
                    if (groups[entry] >= 0) {
                        groups[entry] = (short) ~newGroup(8, groups[entry]);
                    }
                    groups[~groups[entry] + (modrmByte & 7)] = form;
                }
                return;
            }
            for (int reg = 0; reg < 8; reg++) {
                if (digit < 0 || digit == reg) {
                    if ((mods & 1) != 0) {
                        groups[group + reg] = form;
                    }
                    if ((mods & 2) != 0) {
                        groups[group + 8 + reg] = form;
                    }
                }
            }
        }

        private int newGroup(int size, short content) {
            int start = groupsUsed;
            groupsUsed += size;
            Arrays.fill(groups, start, groupsUsed, content);
            return start;
        }

        private String word() {
            int start = at;
            while (text[at] > ' ' && text[at] != ',' && text[at] != '|') {
                at++;
            }
            return string(start, at);
        }

        private String string(int from, int to) {
            while (to > from && text[to - 1] == ' ') {
                to--;
            }
            return new String(text, from, to - from, StandardCharsets.ISO_8859_1);
        }

        private void skipBar() {
            skipBlanks();
            if (text[at] == '|') {
                at++;
                skipBlanks();
            }
        }

        private void skipBlanks() {
            while (text[at] == ' ') {
                at++;
            }
        }
    }
}
