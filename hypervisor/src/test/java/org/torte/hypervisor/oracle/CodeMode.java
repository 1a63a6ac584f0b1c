package org.torte.hypervisor.oracle;

/** The kinds of code segments that cases run in. */
public enum CodeMode {
    /** 64-bit mode. */
    LONG(64),
    /** Compatibility mode with flat 32-bit segments. */
    FLAT_32(32),
    /** Compatibility mode with 32-bit code in segments that have bases and limits. */
    SEGMENTED_32(32),
    /** Compatibility mode with 16-bit code. */
    SEGMENTED_16(16);

    private final int bits;

    CodeMode(int bits) {
        this.bits = bits;
    }

    /** 16, 32 or 64, as the decoder takes it. */
    public int bits() {
        return bits;
    }
}
