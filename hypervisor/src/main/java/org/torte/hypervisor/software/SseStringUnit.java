package org.torte.hypervisor.software;

import static org.torte.hypervisor.x86.Operation.PCMPESTRI;
import static org.torte.hypervisor.x86.Operation.PCMPESTRM;
import static org.torte.hypervisor.x86.Operation.PCMPISTRI;

import org.torte.hypervisor.x86.Instruction;
import org.torte.hypervisor.x86.Operation;

/** PCMPESTRI, PCMPESTRM, PCMPISTRI and PCMPISTRM (Intel SDM vol. 2, section 4.1). */
final class SseStringUnit {
    private static final int CF = 1, ZF = 1 << 6, SF = 1 << 7, OF = 1 << 11;
    private static final int RAX = 0, RCX = 1, RDX = 2;
    private static final int EQUAL_ANY = 0, RANGES = 1, EQUAL_EACH = 2;

    private final VectorOperands operands;
    private final CpuContext cpu;

    // The two strings of the instruction at hand, and how many of their elements are valid.
    private final int[] first = new int[16];
    private final int[] second = new int[16];
    private int firstLength;
    private int secondLength;

    SseStringUnit(VectorOperands operands) {
        this.operands = operands;
        cpu = operands.cpu;
    }

    void execute(Instruction in, long address) {
        operands.checkSse();
        operands.sourceUnaligned(in, address);
        Operation operation = in.form.operation();
        int control = (int) in.immediate & 0xff;
        boolean words = (control & 1) != 0;
        boolean signed = (control & 2) != 0;
        int count = words ? 8 : 16;
        long[] xmm = operands.fpu.xmm;
        split(xmm[2 * in.reg], xmm[2 * in.reg + 1], first, words, signed);
        split(operands.lo, operands.hi, second, words, signed);
        if (operation == PCMPESTRI || operation == PCMPESTRM) {
            firstLength = explicitLength(RAX, in, count);
            secondLength = explicitLength(RDX, in, count);
        } else {
            firstLength = implicitLength(first, count);
            secondLength = implicitLength(second, count);
        }
        int all = (1 << count) - 1;
        int result = aggregate(control >> 2 & 3, count);
        switch (control >> 4 & 3) {
            case 1 -> result ^= all;
            case 3 -> result ^= (1 << secondLength) - 1;
            default -> {}
        }
        if (operation == PCMPESTRI || operation == PCMPISTRI) {
            boolean last = (control & 0x40) != 0;
            int index = result == 0
                    ? count
                    : last ? 31 - Integer.numberOfLeadingZeros(result) : Integer.numberOfTrailingZeros(result);
            cpu.setGpr(RCX, index);
        } else if ((control & 0x40) != 0) {
            expand(result, words);
        } else {
            operands.setXmm(0, result, 0);
        }
        cpu.setArithmeticFlags((result != 0 ? CF : 0)
                | (secondLength < count ? ZF : 0)
                | (firstLength < count ? SF : 0)
                | ((result & 1) != 0 ? OF : 0));
    }

    private static void split(long low, long high, int[] target, boolean words, boolean signed) {
        int count = words ? 8 : 16;
        int bits = words ? 16 : 8;
        for (int i = 0; i < count; i++) {
            int at = i * bits;
            long value = (at < 64 ? low : high) >>> (at & 63);
            target[i] = words
                    ? (signed ? (short) value : (int) value & 0xffff)
                    : signed ? (byte) value : (int) value & 0xff;
        }
    }

    private int explicitLength(int register, Instruction in, int count) {
        long value = in.operandSize == 8 ? cpu.gpr(register) : (int) cpu.gpr(register);
        // The most negative number has no absolute value; it saturates like every other large one.
        return value > count || value < -count ? count : (int) Math.abs(value);
    }

    private static int implicitLength(int[] elements, int count) {
        for (int i = 0; i < count; i++) {
            if (elements[i] == 0) {
                return i;
            }
        }
        return count;
    }

    /** One bit for each element of the second string. */
    private int aggregate(int mode, int count) {
        int result = 0;
        for (int j = 0; j < count; j++) {
            boolean match = switch (mode) {
                case EQUAL_ANY -> j < secondLength && contains(second[j]);
                case RANGES -> j < secondLength && inRange(second[j]);
                case EQUAL_EACH ->
                    j < firstLength && j < secondLength ? first[j] == second[j] : j >= firstLength && j >= secondLength;
                default -> startsAt(j, count);
            };
            if (match) {
                result |= 1 << j;
            }
        }
        return result;
    }

    private boolean contains(int element) {
        for (int i = 0; i < firstLength; i++) {
            if (first[i] == element) {
                return true;
            }
        }
        return false;
    }

    private boolean inRange(int element) {
        for (int i = 0; i + 1 < firstLength; i += 2) {
            if (element >= first[i] && element <= first[i + 1]) {
                return true;
            }
        }
        return false;
    }

    /** Whether the first string, as far as it fits, is at element {@code at} of the second. */
    private boolean startsAt(int at, int count) {
        for (int i = 0; i < firstLength && at + i < count; i++) {
            if (at + i >= secondLength || first[i] != second[at + i]) {
                return false;
            }
        }
        return true;
    }

    private void expand(int mask, boolean words) {
        long low = 0;
        long high = 0;
        int bits = words ? 16 : 8;
        long ones = words ? 0xffff : 0xff;
        for (int i = 0; i < 128 / bits; i++) {
            if ((mask >>> i & 1) != 0) {
                int at = i * bits;
                if (at < 64) {
                    low |= ones << at;
                } else {
                    high |= ones << at - 64;
                }
            }
        }
        operands.setXmm(0, low, high);
    }
}
