package org.torte.hypervisor.x86;

/** What instructions do, by their mnemonics. */
public enum Operation {
    /** An undefined opcode: #UD. */
    INVALID
}
