package org.torte.hypervisor.software.translator;

/** The parts of an encoded instruction of 64-bit code that the host's encoding of it takes over. */
final class Encoding {
    boolean operandSize;
    int repeat;
    boolean wide;

    /** The escape bytes and the opcode as one number. */
    int opcode;

    /** Where the immediate bytes begin, and how many there are. */
    int immediateStart;

    int immediateLength;

    /** Takes an instruction apart; {@code modrm} says whether it has a ModRM byte. */
    void parse(byte[] code, int start, int length, boolean modrm) {
        operandSize = false;
        repeat = 0;
        int rex = 0;
        int at = start;
        while (true) {
            int b = code[at] & 0xff;
            if ((b & 0xf0) == 0x40) {
                rex = b;
            } else if (isPrefix(b)) {
                rex = 0;
                operandSize |= b == 0x66;
                if (b == 0xf2 || b == 0xf3) {
                    repeat = b;
                }
            } else {
                break;
            }
            at++;
        }
        wide = (rex & 8) != 0;
        opcode = code[at++] & 0xff;
        if (opcode == 0x0f) {
            opcode = opcode << 8 | code[at++] & 0xff;
            if (opcode == 0x0f38 || opcode == 0x0f3a) {
                opcode = opcode << 8 | code[at++] & 0xff;
            }
        }
        if (modrm) {
            at += operandBytes(code, at);
        }
        immediateStart = at;
        immediateLength = start + length - at;
    }

    private static boolean isPrefix(int b) {
        return switch (b) {
            case 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3 -> true;
            default -> false;
        };
    }

    /** Length of ModRM, SIB and displacement. */
    private static int operandBytes(byte[] code, int at) {
        int modrm = code[at] & 0xff;
        int mod = modrm >> 6;
        if (mod == 3) {
            return 1;
        }
        int length = 1;
        boolean wideDisplacement = mod == 2;
        if ((modrm & 7) == 4) {
            wideDisplacement |= mod == 0 && (code[at + 1] & 7) == 5;
            length++;
        } else {
            wideDisplacement |= mod == 0 && (modrm & 7) == 5;
        }
        return length + (mod == 1 ? 1 : wideDisplacement ? 4 : 0);
    }
}
