package org.torte.hypervisor;

/** Whether a software processor translates guest code into host code. */
public enum TranslatorMode {
    /** Everything is interpreted. */
    OFF,
    /** What is executed often is translated. */
    ON,
    /** Everything that can be is translated before it is first executed; for tests. */
    ONLY
}
