package org.torte.machine;

import java.nio.charset.StandardCharsets;
import java.util.List;
import org.torte.hypervisor.CpuidTable;

/**
 * The processor models by name: fixed vendor, family and features, so that a machine may move between back-ends and
 * hosts.
 *
 * <p>{@code x86-64-v2}: what the x86-64 psABI calls that level, and instructions without 256-bit registers beyond it. It
 * says to be an AMD processor of family 19h that has none of the leaks for which kernels take expensive measures:
 * Linux would isolate page tables on an Intel one, and each system call would empty the translation caches.
 *
 * <p>{@code x86-64-v1}: the same processor with no instructions for programs beyond the psABI's lowest level. Hosts and KVMs
 * that lack more recent ones have it.
 */
public final class CpuModels {
    /** The model of machines that name none. */
    public static final String DEFAULT = "x86-64-v2";

    /** The model that the fewest hosts lack. */
    public static final String BASELINE = "x86-64-v1";

    /** What the default model has for programs beyond the lowest level. */
    private static final List<String> BEYOND_BASELINE = List.of(
            "SSE3",
            "PCLMULQDQ",
            "SSSE3",
            "CX16",
            "SSE4.1",
            "SSE4.2",
            "MOVBE",
            "POPCNT",
            "AES",
            "RDRAND",
            "BMI1",
            "BMI2",
            "RDSEED",
            "ADX",
            "SHA",
            "LAHF",
            "LZCNT",
            "PREFETCHW",
            "MMXEXT");

    private static final int LAST_BASIC = 0xd;
    private static final int EXTENDED = 0x8000_0000, LAST_EXTENDED = 0x8000_0021;

    /** Family 19h, model 21h, stepping 2. */
    private static final int SIGNATURE = 0x00a2_0f12;

    private static final String BRAND = "Torte virtual processor";
    private static final int CACHE_LINE = 64;

    /** FPU DE PSE TSC MSR PAE MCE CX8 APIC SEP MTRR PGE MCA CMOV PAT PSE36 CLFSH MMX FXSR SSE SSE2. */
    private static final int LEAF_1_EDX =
            bits(0, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15, 16, 17, 19, 23, 24, 25, 26);

    private static final int HYPER_THREADING = bits(28);

    /**
     * SSE3 PCLMULQDQ SSSE3 CX16 PCID SSE4.1 SSE4.2 x2APIC MOVBE POPCNT TSC-deadline AES XSAVE RDRAND, and that there is a
     * hypervisor.
     */
    private static final int LEAF_1_ECX = bits(0, 1, 9, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 30, 31);

    /** FSGSBASE TSC_ADJUST BMI1 SMEP BMI2 ERMS INVPCID RDSEED ADX SMAP CLFLUSHOPT CLWB SHA. */
    private static final int LEAF_7_EBX = bits(0, 1, 3, 7, 8, 9, 10, 18, 19, 20, 23, 24, 29);

    /** UMIP RDPID. */
    private static final int LEAF_7_ECX = bits(2, 22);

    /** FSRM: short REP MOVSB is fast. */
    private static final int LEAF_7_EDX = bits(4);

    /** The timer of the local APIC runs always (ARAT). */
    private static final int LEAF_6_EAX = bits(2);

    /** As leaf 1, with SYSCALL NX MMXEXT 1-GiB-pages RDTSCP LM, without SEP CLFSH SSE SSE2. */
    private static final int EXTENDED_1_EDX =
            bits(0, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15, 16, 17, 20, 22, 23, 24, 26, 27, 29);

    /** LAHF in 64-bit mode, LZCNT, PREFETCHW, topology leaves. */
    private static final int EXTENDED_1_ECX = bits(0, 5, 8, 22);

    private static final int CORES_LEGACY = bits(1);
    private static final int INVARIANT_TSC = bits(8);

    /** FXSAVE always saves the error pointers; SSB_NO; BTC_NO. */
    private static final int EXTENDED_8_EBX = bits(2, 26, 29);

    /** LFENCE always serialises; null selectors clear the base; automatic IBRS; SRSO_NO. */
    private static final int EXTENDED_21_EAX = bits(2, 6, 8, 29);

    /** TSA_SQ_NO, TSA_L1_NO. */
    private static final int EXTENDED_21_ECX = bits(1, 2);

    private CpuModels() {}

    /** All names. */
    public static List<String> names() {
        return List.of(DEFAULT, BASELINE);
    }

    /** Features that a machine of this model does not have, though the leaves show them. */
    static List<String> without(String model) {
        return model.equals(BASELINE) ? BEYOND_BASELINE : List.of();
    }

    /** The leaves of a processor with all features, without those of the hypervisor, in a machine of {@code processors}. */
    static CpuidTable.Builder leaves(int processors) {
        int idBits = Integer.SIZE - Integer.numberOfLeadingZeros(processors - 1);
        boolean several = processors > 1;
        CpuidTable.Builder table = new CpuidTable.Builder();
        vendor(table, 0, LAST_BASIC);
        table.leaf(
                1,
                SIGNATURE,
                CACHE_LINE / 8 << 8 | processors << 16,
                LEAF_1_ECX,
                LEAF_1_EDX | (several ? HYPER_THREADING : 0));
        table.leaf(6, LEAF_6_EAX, 0, 0, 0);
        table.subleaf(7, 0, 0, LEAF_7_EBX, LEAF_7_ECX, LEAF_7_EDX);
        table.subleaf(0xb, 0, 0, 1, 1 << 8, 0);
        table.subleaf(0xb, 1, idBits, processors, 1 | 2 << 8, 0);
        // x87 and SSE state: 512 bytes and the 64-byte header.
        table.subleaf(0xd, 0, 3, 576, 576, 0);

        vendor(table, EXTENDED, LAST_EXTENDED);
        table.leaf(EXTENDED + 1, SIGNATURE, 0, EXTENDED_1_ECX | (several ? CORES_LEGACY : 0), EXTENDED_1_EDX);
        brand(table);
        caches(table, processors);
        // True as long as the machine runs; what holds over a restore is the Hyper-V interface's to promise.
        table.leaf(EXTENDED + 7, 0, 0, 0, INVARIANT_TSC);
        int linearBits = 48;
        table.leaf(
                EXTENDED + 8,
                MemoryMap.PHYSICAL_ADDRESS_BITS | linearBits << 8,
                EXTENDED_8_EBX,
                processors - 1 | idBits << 12,
                0);
        // One thread per core, one node; the back-end fills in the identifiers.
        table.leaf(EXTENDED + 0x1e, 0, 0, 0, 0);
        table.leaf(LAST_EXTENDED, EXTENDED_21_EAX, 0, EXTENDED_21_ECX, 0);
        return table;
    }

    private static void vendor(CpuidTable.Builder table, int leaf, int last) {
        table.leaf(leaf, last, ascii("Auth"), ascii("cAMD"), ascii("enti"));
    }

    private static void brand(CpuidTable.Builder table) {
        byte[] text = new byte[48];
        byte[] name = BRAND.getBytes(StandardCharsets.US_ASCII);
        System.arraycopy(name, 0, text, 0, name.length);
        java.nio.IntBuffer words = java.nio.ByteBuffer.wrap(text)
                .order(java.nio.ByteOrder.LITTLE_ENDIAN)
                .asIntBuffer();
        for (int i = 0; i < 3; i++) {
            table.leaf(EXTENDED + 2 + i, words.get(), words.get(), words.get(), words.get());
        }
    }

    /** 32 KiB of first-level cache each for data and code, 512 KiB of second level, 32 MiB shared (AMD64 vol. 3, E.4). */
    private static void caches(CpuidTable.Builder table, int processors) {
        int firstLevel = 32 << 24 | 8 << 16 | 1 << 8 | CACHE_LINE;
        table.leaf(EXTENDED + 5, 0xff40_ff40, 0xff40_ff40, firstLevel, firstLevel);
        int secondLevelBuffers = 6 << 28 | 2048 << 16 | 4 << 12 | 512;
        int secondLevel = 512 << 16 | 6 << 12 | 1 << 8 | CACHE_LINE;
        int thirdLevel = 64 << 18 | 8 << 12 | 1 << 8 | CACHE_LINE;
        table.leaf(EXTENDED + 6, secondLevelBuffers, secondLevelBuffers, secondLevel, thirdLevel);
        cache(table, 0, 1, 1, 8, 64, 1);
        cache(table, 1, 2, 1, 8, 64, 1);
        cache(table, 2, 3, 2, 8, 1024, 1);
        cache(table, 3, 3, 3, 16, 32768, processors);
    }

    /** Kinds: 1 data, 2 code, 3 both. */
    private static void cache(
            CpuidTable.Builder table, int subleaf, int kind, int level, int ways, int sets, int sharing) {
        int selfInitializing = 1 << 8;
        table.subleaf(
                EXTENDED + 0x1d,
                subleaf,
                kind | level << 5 | selfInitializing | sharing - 1 << 14,
                CACHE_LINE - 1 | ways - 1 << 22,
                sets - 1,
                0);
    }

    private static int bits(int... numbers) {
        int value = 0;
        for (int number : numbers) {
            value |= 1 << number;
        }
        return value;
    }

    private static int ascii(String four) {
        return four.charAt(0) | four.charAt(1) << 8 | four.charAt(2) << 16 | four.charAt(3) << 24;
    }
}
