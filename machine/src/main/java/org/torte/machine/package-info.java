/**
 * A virtual machine: {@link org.torte.machine.Machine} puts a partition, guest memory, the chipset and the ACPI tables
 * together, runs the processors and saves and restores all of it.
 *
 * <p>{@link org.torte.machine.MachineConfiguration} says what the machine is and is stored with its saved state;
 * {@link org.torte.machine.MachineHost} says what it runs on; a {@link org.torte.machine.BootLoader} says what it starts.
 */
package org.torte.machine;
