package org.torte.hypervisor.x86;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

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
    private static final Operand[] NO_OPERANDS = {};

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

    /**
     * Reads the text one byte at a time and makes no strings of it: this is on the path of every start, before anything
     * is compiled.
     */
    private static final class Builder {
        Form[] forms = new Form[1024];
        int formCount;
        final short[] root = new short[MAPS << 11];
        short[] groups = new short[1 << 15];
        int groupsUsed;

        private final Names<Operation> operations = new Names<>(4096, Operation.values());
        private final Names<Operand> operandNames = new Names<>(512, Operand.values());
        private final Names<Feature> features = new Names<>(256, Feature.values());
        private final Names<Attribute> attributes = new Names<>(64, Attribute.values());

        /** The operands of the line being read. */
        private final Operand[] operands = new Operand[4];

        private int operandCount;

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
            operandNames.put("1", Operand.ONE);
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
            form.setEncoding(text, start, at);
            skipBar();
            form.operation = operations.find(word());
            skipBar();
            operandCount = 0;
            while (text[at] != '|' && text[at] != '\n') {
                operand(form, operandNames.find(word()));
                while (text[at] == ',' || text[at] == ' ') {
                    at++;
                }
            }
            form.operands = operandCount == 0 ? NO_OPERANDS : Arrays.copyOf(operands, operandCount);
            if (text[at] == '|') {
                at++;
            }
            modes = 3;
            unaligned = false;
            while (text[at] != '\n') {
                if (text[at] == ' ') {
                    at++;
                } else {
                    attribute(form);
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
                int c = text[at];
                if (c == ' ') {
                    at++;
                } else if (c == 'V') {
                    form.vex = true;
                    at += "VEX".length();
                } else if (c == 'N' && text[at + 1] == 'P') {
                    prefixes = 1 << PREFIX_NONE;
                    at += "NP".length();
                } else if (c == 'N') {
                    prefixes = 1 << PREFIX_NONE | 1 << PREFIX_66;
                    at += "NFx".length();
                } else if (c == '/') {
                    digit = text[at + 1] - '0';
                    at += 2;
                } else {
                    opcodeSeen = opcodeByte(form, opcodeSeen);
                }
            }
        }

        private static int hex(int c) {
            return c >= 'A' ? c - 'A' + 10 : c - '0';
        }

        /** A byte in hexadecimal, perhaps with +r, +c or +i; returns whether the opcode has been seen. */
        private boolean opcodeByte(Form form, boolean opcodeSeen) {
            int value = hex(text[at]) << 4 | hex(text[at + 1]);
            at += 2;
            boolean range = text[at] == '+';
            int kind = range ? text[at + 1] : 0;
            if (range) {
                at += 2;
            }
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
                opcodeCount = kind == 'c' ? 16 : 8;
            }
            return true;
        }

        /** Whether the opcode column goes on with another byte, after blanks. */
        private boolean anotherByte() {
            int i = at;
            while (text[i] == ' ') {
                i++;
            }
            return text[i] >= '0' && text[i] <= '9' || text[i] >= 'A' && text[i] <= 'F';
        }

        private void operand(Form form, Operand operand) {
            operands[operandCount++] = operand;
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
            // The source of CRC32 may be a word all the same.
            form.atLeastDword = operand.isY() || form.atLeastDword && operand != Operand.EV;
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

        private void attribute(Form form) {
            if (text[at + 1] == '=') {
                int which = text[at];
                at += 2;
                int flags = flags();
                switch (which) {
                    case 'w' -> form.flagsWritten = flags;
                    case 'u' -> form.flagsUndefined = flags;
                    default -> form.flagsRead = flags;
                }
                return;
            }
            int name = word();
            Attribute attribute = attributes.get(name);
            if (attribute == null) {
                form.feature = features.find(name);
                return;
            }
            switch (attribute) {
                case I64 -> modes = 1;
                case O64 -> modes = 2;
                case D64 -> form.sizeRule = Form.SIZE_D64;
                case F64 -> form.sizeRule = Form.SIZE_F64;
                case LOCK -> form.lock = true;
                case REP -> form.repeatable = true;
                case CPL0 -> form.privileged = true;
                case IOPL -> form.ioPrivileged = true;
                case MEM -> mods = 1;
                case REG -> mods = 2;
                case ANYMOD -> {
                    form.anyMod = true;
                    mods = 3;
                }
                case DS -> form.implicitData = true;
                case UNALIGNED -> unaligned = true;
            }
        }

        private int flags() {
            int mask = 0;
            while (text[at] > ' ') {
                mask |= switch (text[at++]) {
                    case 'o' -> Form.OF;
                    case 'd' -> Form.DF;
                    case 'i' -> Form.IF;
                    case 's' -> Form.SF;
                    case 'z' -> Form.ZF;
                    case 'a' -> Form.AF;
                    case 'p' -> Form.PF;
                    case 'c' -> Form.CF;
                    default -> throw new IllegalStateException("instructions.txt: unknown flag at byte " + at);
                };
            }
            return mask;
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

        /** Reads a name and returns its {@link Names#hash}. */
        private int word() {
            int hash = 0;
            int c = text[at];
            while (c > ' ' && c != ',' && c != '|') {
                hash = Names.hash(hash, c);
                c = text[++at];
            }
            return hash;
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

    /** Words of the attribute column, but for features and flags. */
    private enum Attribute {
        I64,
        O64,
        D64,
        F64,
        LOCK,
        REP,
        CPL0,
        IOPL,
        MEM,
        REG,
        ANYMOD,
        DS,
        UNALIGNED
    }

    /** Values by the hash of their name, letters in either case; no two names of a kind may have the same hash. */
    private static final class Names<T extends Enum<T>> {
        private final int[] hashes;
        private final @Nullable Object[] values;

        /** All constants by their own names; {@code slots} is a power of two. */
        Names(int slots, T[] constants) {
            hashes = new int[slots];
            values = new Object[slots];
            for (T constant : constants) {
                put(constant.name(), constant);
            }
        }

        static int hash(int before, int c) {
            return 31 * before + (c >= 'a' ? c - 32 : c);
        }

        void put(String name, T value) {
            int hash = 0;
            for (int i = 0; i < name.length(); i++) {
                hash = hash(hash, name.charAt(i));
            }
            int slot = slot(hash);
            if (values[slot] != null) {
                throw new IllegalStateException(name + " and " + values[slot] + " have the same hash");
            }
            hashes[slot] = hash;
            values[slot] = value;
        }

        /** The slot with this hash, or the free one where it would be. */
        private int slot(int hash) {
            int mask = hashes.length - 1;
            int slot = (hash ^ hash >>> 12) & mask;
            while (values[slot] != null && hashes[slot] != hash) {
                slot = slot + 1 & mask;
            }
            return slot;
        }

        @SuppressWarnings("unchecked") // only put() fills it
        @Nullable
        T get(int hash) {
            return (T) values[slot(hash)];
        }

        T find(int hash) {
            T value = get(hash);
            if (value == null) {
                throw new IllegalStateException("instructions.txt: unknown name");
            }
            return value;
        }
    }
}
