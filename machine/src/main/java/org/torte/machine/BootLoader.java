package org.torte.machine;

/**
 * Puts what a machine starts with into its memory and sets the registers of its first processor. Called when the machine
 * starts and after every reset, while no processor runs, with RAM full of zeroes apart from the ACPI tables and all
 * processors in reset state.
 */
@FunctionalInterface
public interface BootLoader {
    /** Loads it. Exceptions end the machine with {@link MachineEnd.Failed}. */
    void load(BootTarget target);
}
