package org.torte.hypervisor.shared;

import org.torte.base.StateInput;
import org.torte.base.StateOutput;

/**
 * Model-specific registers that hold what was written to them and have no other effect on this processor: memory types,
 * machine checks and the odds and ends that kernels read and write on AMD's family 19h (AMD64 manual vol. 2, appendix
 * A; the family's processor programming reference).
 */
public final class Msrs {
    private static final int MTRR_DEFAULT = 0x2ff;
    private static final int VARIABLE_RANGES = 8;
    private static final int BANKS = 4;

    /** What a register is at reset and which bits a guest may set; others must be zero. */
    private record Plain(int index, long reset, long writable) {}

    /** Registers in the order in which they are saved. */
    private static final Plain[] PLAIN = {
        new Plain(0x48, 0, 0x7), // SPEC_CTRL
        new Plain(0x17a, 0, 7), // MCG_STATUS
        new Plain(0x17b, 0, -1), // MCG_CTL
        new Plain(0x1d9, 0, 0x7f), // DEBUGCTL
        new Plain(0x250, 0, -1), // fixed-range MTRRs
        new Plain(0x258, 0, -1),
        new Plain(0x259, 0, -1),
        new Plain(0x268, 0, -1),
        new Plain(0x269, 0, -1),
        new Plain(0x26a, 0, -1),
        new Plain(0x26b, 0, -1),
        new Plain(0x26c, 0, -1),
        new Plain(0x26d, 0, -1),
        new Plain(0x26e, 0, -1),
        new Plain(0x26f, 0, -1),
        new Plain(MTRR_DEFAULT, 0, 0xcff),
        new Plain(0xc0010010, 0, -1), // SYSCFG
        new Plain(0xc0010015, 0x0100_0000, -1), // HWCR: the TSC counts at the frequency of P-state 0
        new Plain(0xc001001f, 0, -1), // NB_CFG
        new Plain(0xc0010055, 0, -1), // interrupt pending
        new Plain(0xc0010058, 0, -1), // MMIO configuration base
        new Plain(0xc0010114, 0x18, -1), // VM_CR: SVM off and locked
        new Plain(0xc0010117, 0, -1), // VM_HSAVE_PA
        new Plain(0xc0011020, 0, -1), // LS_CFG
        new Plain(0xc0011021, 0, -1), // IC_CFG
        new Plain(0xc0011022, 0, -1), // DC_CFG
        new Plain(0xc0011023, 0, -1), // TW_CFG
        new Plain(0xc0011028, 0, -1), // FP_CFG
        new Plain(0xc0011029, 2, -1), // DE_CFG: LFENCE serialises
        new Plain(0xc001102a, 0, -1), // BU_CFG2
        new Plain(0xc001102c, 0, -1), // EX_CFG
    };

    private static final int PAT = 0x277, MTRR_CAP = 0xfe, MCG_CAP = 0x179, MISC_ENABLE = 0x1a0, PATCH_LEVEL = 0x8b;
    private static final int PREDICTOR_COMMAND = 0x49, FLUSH_COMMAND = 0x10b, PATCH_LOADER = 0xc0010020;
    private static final int MTRR_VARIABLE = 0x200, MACHINE_CHECK = 0x400;
    private static final int PSTATE_LIMIT = 0xc0010061, PSTATE_CONTROL = 0xc0010062, PSTATE_STATUS = 0xc0010063;
    private static final int OSVW_LENGTH = 0xc0010140, OSVW_STATUS = 0xc0010141;
    private static final long PAT_RESET = 0x0007_0406_0007_0406L;

    private final long[] plain = new long[PLAIN.length];
    private final long[] variable = new long[2 * VARIABLE_RANGES];
    private final long[] banks = new long[4 * BANKS];
    private long pat;

    /** All at their reset values. */
    public Msrs() {
        reset();
    }

    /** Power-up. */
    public void reset() {
        for (int i = 0; i < PLAIN.length; i++) {
            plain[i] = PLAIN[i].reset;
        }
        java.util.Arrays.fill(variable, 0);
        java.util.Arrays.fill(banks, 0);
        pat = PAT_RESET;
    }

    /** Whether this register is one of these; its value is then in {@code out[0]}. */
    public boolean read(int index, long[] out) {
        int slot = find(index);
        if (slot >= 0) {
            out[0] = plain[slot];
            return true;
        }
        if (index >= MTRR_VARIABLE && index < MTRR_VARIABLE + variable.length) {
            out[0] = variable[index - MTRR_VARIABLE];
            return true;
        }
        if (index >= MACHINE_CHECK && index < MACHINE_CHECK + banks.length) {
            out[0] = banks[index - MACHINE_CHECK];
            return true;
        }
        switch (index) {
            case PAT -> out[0] = pat;
            case MTRR_CAP -> out[0] = 0x500 | VARIABLE_RANGES; // fixed ranges and write-combining
            case MCG_CAP -> out[0] = 0x100 | BANKS; // with MCG_CTL
            case PATCH_LEVEL -> out[0] = 0x0a20_120e;
            case MISC_ENABLE -> out[0] = 1; // fast strings
            case PSTATE_LIMIT, PSTATE_CONTROL, PSTATE_STATUS, OSVW_LENGTH, OSVW_STATUS -> out[0] = 0;
            default -> {
                return false;
            }
        }
        return true;
    }

    /** Whether this register is one of these and took the value. */
    public boolean write(int index, long value) {
        int slot = find(index);
        if (slot >= 0) {
            if ((value & ~PLAIN[slot].writable) != 0 || !validTypes(index, value)) {
                return false;
            }
            plain[slot] = value;
            return true;
        }
        if (index >= MTRR_VARIABLE && index < MTRR_VARIABLE + variable.length) {
            // A base has its type in the low byte, a mask its valid bit in bit 11.
            boolean base = (index & 1) == 0;
            if (base ? (value & 0xf00) != 0 || !validType((int) value & 0xff) : (value & 0x7ff) != 0) {
                return false;
            }
            variable[index - MTRR_VARIABLE] = value;
            return true;
        }
        if (index >= MACHINE_CHECK && index < MACHINE_CHECK + banks.length) {
            // Status registers take zero only (SDM vol. 3, section 16.3.2.2).
            boolean control = (index & 3) == 0;
            if (!control && value != 0) {
                return false;
            }
            banks[index - MACHINE_CHECK] = value;
            return true;
        }
        return switch (index) {
            case PAT -> {
                if (!validPat(value)) {
                    yield false;
                }
                pat = value;
                yield true;
            }
            case PREDICTOR_COMMAND, FLUSH_COMMAND, PATCH_LOADER, PATCH_LEVEL, MISC_ENABLE, PSTATE_CONTROL -> true;
            default -> false;
        };
    }

    /** Whether an MTRR with fixed ranges or the default type holds only memory types that exist. */
    private static boolean validTypes(int index, long value) {
        if (index == MTRR_DEFAULT) {
            return validType((int) value & 0xff);
        }
        boolean fixed = index >= 0x250 && index <= 0x26f;
        for (int i = 0; fixed && i < 64; i += 8) {
            if (!validType((int) (value >>> i) & 0xff)) {
                return false;
            }
        }
        return true;
    }

    /** Uncacheable, write-combining, write-through, write-protected, write-back. */
    private static boolean validType(int type) {
        return type == 0 || type == 1 || type >= 4 && type <= 6;
    }

    private static boolean validPat(long value) {
        for (int i = 0; i < 64; i += 8) {
            int type = (int) (value >>> i) & 0xff;
            if (type > 7 || type == 2 || type == 3) {
                return false;
            }
        }
        return true;
    }

    private static int find(int index) {
        for (int i = 0; i < PLAIN.length; i++) {
            if (PLAIN[i].index == index) {
                return i;
            }
        }
        return -1;
    }

    /** Writes the values. */
    public void save(StateOutput out) {
        out.putInt(plain.length);
        for (int i = 0; i < plain.length; i++) {
            out.putInt(PLAIN[i].index).putLong(plain[i]);
        }
        out.putLongs(variable).putLongs(banks).putLong(pat);
    }

    /** Reads what {@link #save} wrote. */
    public void restore(StateInput in) {
        int count = in.getInt();
        for (int i = 0; i < count; i++) {
            int index = in.getInt();
            long value = in.getLong();
            int slot = find(index);
            in.check(slot >= 0, "model-specific register 0x" + Integer.toHexString(index) + " is unknown");
            plain[slot] = value;
        }
        in.getLongs(variable);
        in.getLongs(banks);
        pat = in.getLong();
    }

    /** The registers that are saved, in the order of their numbers' groups. */
    public static int[] saved() {
        java.util.stream.IntStream.Builder all = java.util.stream.IntStream.builder();
        for (Plain register : PLAIN) {
            all.add(register.index);
        }
        for (int i = 0; i < 2 * VARIABLE_RANGES; i++) {
            all.add(MTRR_VARIABLE + i);
        }
        for (int i = 0; i < 4 * BANKS; i++) {
            all.add(MACHINE_CHECK + i);
        }
        return all.add(PAT).build().toArray();
    }
}
