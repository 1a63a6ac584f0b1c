package org.torte.machine;

/** How a machine ended. */
public sealed interface MachineEnd {
    /** The guest powered off. */
    record PoweredOff() implements MachineEnd {}

    /**
     * The guest wrote to the exit port.
     *
     * @param status what it wrote, shifted left by one, plus one; the low 8 bits
     */
    record Exited(int status) implements MachineEnd {}

    /** A processor met a triple fault. */
    record Crashed(CrashReport report) implements MachineEnd {}

    /** The guest asked for a reset, but there was no boot loader to start from. */
    record ResetWithoutBootLoader() implements MachineEnd {}

    /** The host turned it off ({@link Machine#stop} or {@link Machine#close}). */
    record Stopped() implements MachineEnd {}

    /** An error in Torte itself, in the back-end or the boot loader. */
    record Failed(Throwable cause) implements MachineEnd {}
}
