package org.torte.machine;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.torte.hypervisor.CpuidTable;

/**
 * A feature of a processor as CPUID shows it (AMD64 manual vol. 3, appendix E).
 *
 * @param name what users call it
 * @param leaf the leaf, whose sub-leaf is 0
 * @param register EAX is 0, EBX 1, ECX 2, EDX 3
 * @param bit the bit
 * @param needed whether a machine cannot do without: the level x86-64-v2 of the psABI and what kernels take for granted
 */
public record CpuFeature(String name, int leaf, int register, int bit, boolean needed) {
    private static final int EAX = 0, EBX = 1, ECX = 2, EDX = 3;
    private static final int EXTENDED = 0x8000_0000;

    private static final List<CpuFeature> ALL = new ArrayList<>();

    static {
        needed(
                1,
                EDX,
                0,
                "FPU DE PSE TSC MSR PAE MCE CX8 APIC - SEP MTRR PGE MCA CMOV PAT PSE36 - CLFSH - - - MMX FXSR");
        needed(1, EDX, 25, "SSE SSE2");
        needed(1, ECX, 0, "SSE3");
        needed(1, ECX, 9, "SSSE3");
        needed(1, ECX, 13, "CX16");
        needed(1, ECX, 19, "SSE4.1 SSE4.2 - - POPCNT");
        needed(EXTENDED | 1, ECX, 0, "LAHF");
        needed(EXTENDED | 1, EDX, 11, "SYSCALL - - - - - - - - NX");
        needed(EXTENDED | 1, EDX, 29, "LM");
        optional(1, ECX, 1, "PCLMULQDQ - MONITOR");
        optional(1, ECX, 17, "PCID - - - X2APIC MOVBE - TSC-DEADLINE AES XSAVE");
        optional(1, ECX, 30, "RDRAND");
        optional(7, EBX, 0, "FSGSBASE TSC-ADJUST - BMI1 - - - SMEP BMI2 ERMS INVPCID");
        optional(7, EBX, 18, "RDSEED ADX SMAP - - CLFLUSHOPT CLWB - - - - SHA");
        optional(7, ECX, 2, "UMIP");
        optional(7, ECX, 22, "RDPID");
        optional(7, EDX, 4, "FSRM");
        optional(EXTENDED | 1, ECX, 5, "LZCNT - - PREFETCHW");
        optional(EXTENDED | 1, ECX, 22, "TOPOLOGY");
        optional(EXTENDED | 1, EDX, 22, "MMXEXT - - FXSR-OPT PAGE1GB RDTSCP");
        optional(EXTENDED | 8, EBX, 2, "XSAVEERPTR");
        optional(EXTENDED | 8, EBX, 26, "SSB-NO - - BTC-NO");
        optional(EXTENDED | 0x21, EAX, 2, "LFENCE-SERIALIZING - - - NULL-SELECTOR - AUTO-IBRS");
        optional(EXTENDED | 0x21, EAX, 29, "SRSO-NO");
        optional(EXTENDED | 0x21, ECX, 1, "TSA-SQ-NO TSA-L1-NO");
    }

    private static void needed(int leaf, int register, int first, String names) {
        add(leaf, register, first, names, true);
    }

    private static void optional(int leaf, int register, int first, String names) {
        add(leaf, register, first, names, false);
    }

    /** Names of bits from the first on; a dash for none. */
    private static void add(int leaf, int register, int first, String names, boolean needed) {
        int bit = first;
        for (String name : names.split(" ", -1)) {
            if (!name.equals("-")) {
                ALL.add(new CpuFeature(name, leaf, register, bit, needed));
            }
            bit++;
        }
    }

    /** The feature of this name. */
    public static Optional<CpuFeature> named(String name) {
        return ALL.stream().filter(feature -> feature.name.equals(name)).findFirst();
    }

    /** Whether a table shows it. */
    boolean in(CpuidTable table) {
        CpuidTable.Registers r = table.get(leaf, 0);
        int word = switch (register) {
            case EAX -> r.eax();
            case EBX -> r.ebx();
            case ECX -> r.ecx();
            default -> r.edx();
        };
        return (word >>> bit & 1) != 0;
    }

    /** What {@code table} has and {@code less} has not. */
    static List<CpuFeature> missing(CpuidTable table, CpuidTable less) {
        return ALL.stream()
                .filter(feature -> feature.in(table) && !feature.in(less))
                .toList();
    }

    /** The table without some features. */
    static CpuidTable without(CpuidTable table, List<CpuFeature> features) {
        CpuidTable.Builder reduced = new CpuidTable.Builder();
        for (CpuidTable.Entry entry : table.entries()) {
            CpuidTable.Registers r = entry.registers();
            int[] words = {r.eax(), r.ebx(), r.ecx(), r.edx()};
            for (CpuFeature feature : features) {
                if (feature.leaf == entry.leaf() && entry.subleaf() <= 0) {
                    words[feature.register] &= ~(1 << feature.bit);
                }
            }
            if (entry.subleaf() < 0) {
                reduced.leaf(entry.leaf(), words[0], words[1], words[2], words[3]);
            } else {
                reduced.subleaf(entry.leaf(), entry.subleaf(), words[0], words[1], words[2], words[3]);
            }
        }
        return reduced.build();
    }
}
