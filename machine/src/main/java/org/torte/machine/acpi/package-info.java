/**
 * The ACPI tables of a machine, built in Java (ACPI specification 6.5, chapters 5 and 20).
 *
 * <p>The machine has the full ACPI hardware and is not hardware-reduced: every operating system that runs on PCs knows
 * that form, and the power management timer and the fixed power button come with it. There is no PCI host bridge.
 */
package org.torte.machine.acpi;
