package org.torte.hypervisor.x86;

/**
 * CPUID features that instructions belong to. Without its feature a form is undefined, with one exception: TZCNT and
 * LZCNT then execute as BSF and BSR, because older processors ignore their F3 prefix.
 */
public enum Feature {
    /** Always there. */
    BASE,
    X87,
    TSC,
    MSR,
    SEP,
    CMOV,
    /** CMPXCHG8B; its 16-byte form has a feature bit of its own. */
    CX8,
    CLFLUSH,
    FXSR,
    MMX,
    SSE,
    SSE2,
    SSE3,
    SSSE3,
    SSE4_1,
    SSE4_2,
    POPCNT,
    LZCNT,
    MOVBE,
    AES,
    PCLMULQDQ,
    SHA,
    BMI1,
    BMI2,
    ADX,
    RDRAND,
    RDSEED,
    MONITOR,
    XSAVE,
    XSAVEOPT,
    XSAVEC,
    XSAVES,
    FSGSBASE,
    INVPCID,
    SMAP,
    PKU,
    CLFLUSHOPT,
    CLWB,
    PREFETCHW,
    /** LAHF and SAHF in 64-bit mode; elsewhere they are always there. */
    LAHF,
    SYSCALL,
    RDTSCP,
    VMX,
    SVM
}
