package org.torte.hypervisor.x86;

import org.jspecify.annotations.Nullable;
import org.torte.hypervisor.CpuidTable;

/**
 * CPUID features that instructions belong to, and where CPUID shows them. Without its feature a form is undefined, with
 * one exception: TZCNT and LZCNT then execute as BSF and BSR, because older processors ignore their F3 prefix.
 */
public enum Feature {
    /** Always there. */
    BASE,
    X87(1, Register.EDX, 0),
    TSC(1, Register.EDX, 4),
    MSR(1, Register.EDX, 5),
    SEP(1, Register.EDX, 11),
    CMOV(1, Register.EDX, 15),
    /** CMPXCHG8B; its 16-byte form has a feature bit of its own. */
    CX8(1, Register.EDX, 8),
    CLFLUSH(1, Register.EDX, 19),
    FXSR(1, Register.EDX, 24),
    MMX(1, Register.EDX, 23),
    SSE(1, Register.EDX, 25),
    SSE2(1, Register.EDX, 26),
    SSE3(1, Register.ECX, 0),
    SSSE3(1, Register.ECX, 9),
    SSE4_1(1, Register.ECX, 19),
    SSE4_2(1, Register.ECX, 20),
    POPCNT(1, Register.ECX, 23),
    LZCNT(0x8000_0001, Register.ECX, 5),
    MOVBE(1, Register.ECX, 22),
    AES(1, Register.ECX, 25),
    PCLMULQDQ(1, Register.ECX, 1),
    SHA(7, Register.EBX, 29),
    BMI1(7, Register.EBX, 3),
    BMI2(7, Register.EBX, 8),
    ADX(7, Register.EBX, 19),
    RDRAND(1, Register.ECX, 30),
    RDSEED(7, Register.EBX, 18),
    RDPID(7, Register.ECX, 22),
    MONITOR(1, Register.ECX, 3),
    XSAVE(1, Register.ECX, 26),
    /** Of sub-leaf 1, as the next two. */
    XSAVEOPT(0xD, Register.EAX, 0),
    XSAVEC(0xD, Register.EAX, 1),
    XSAVES(0xD, Register.EAX, 3),
    FSGSBASE(7, Register.EBX, 0),
    INVPCID(7, Register.EBX, 10),
    SMAP(7, Register.EBX, 20),
    PKU(7, Register.ECX, 3),
    CLFLUSHOPT(7, Register.EBX, 23),
    CLWB(7, Register.EBX, 24),
    PREFETCHW(0x8000_0001, Register.ECX, 8),
    /** LAHF and SAHF in 64-bit mode; elsewhere they are always there. */
    LAHF(0x8000_0001, Register.ECX, 0),
    SYSCALL(0x8000_0001, Register.EDX, 11),
    RDTSCP(0x8000_0001, Register.EDX, 27),
    VMX(1, Register.ECX, 5),
    SVM(0x8000_0001, Register.ECX, 2);

    private static final int XSAVE_LEAF = 0xD;

    private enum Register {
        EAX,
        EBX,
        ECX,
        EDX
    }

    private final int leaf;
    private final @Nullable Register register;
    private final int bit;

    Feature() {
        leaf = 0;
        register = null;
        bit = 0;
    }

    Feature(int leaf, Register register, int bit) {
        this.leaf = leaf;
        this.register = register;
        this.bit = bit;
    }

    /** Whether a processor with these CPUID leaves has it. */
    public boolean in(CpuidTable cpuid) {
        if (register == null) {
            return true;
        }
        CpuidTable.Registers found = cpuid.get(leaf, leaf == XSAVE_LEAF ? 1 : 0);
        int word = switch (register) {
            case EAX -> found.eax();
            case EBX -> found.ebx();
            case ECX -> found.ecx();
            case EDX -> found.edx();
        };
        return (word >>> bit & 1) != 0;
    }
}
