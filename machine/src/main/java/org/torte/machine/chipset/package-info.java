/**
 * The buses and the devices that every machine has: what remains of the PC in a generation-2-like machine, with no PCI
 * bus behind it.
 *
 * <table>
 * <caption>Devices and what they follow</caption>
 * <tr><td>{@link org.torte.machine.chipset.SerialDevice}</td><td>National Semiconductor PC16550D data sheet</td></tr>
 * <tr><td>{@link org.torte.machine.chipset.IntervalTimer}</td><td>Intel 8254 data sheet, and port 0x61 of the PC</td></tr>
 * <tr><td>{@link org.torte.machine.chipset.InterruptController}</td><td>Intel 8259A data sheet, ELCR of EISA</td></tr>
 * <tr><td>{@link org.torte.machine.chipset.RealTimeClock}</td><td>Motorola MC146818A data sheet</td></tr>
 * <tr><td>{@link org.torte.machine.chipset.PowerManagement}</td><td>ACPI specification 6.5, chapter 4</td></tr>
 * <tr><td>{@link org.torte.machine.chipset.ResetPorts}</td><td>the ports through which PCs are reset</td></tr>
 * </table>
 *
 * <p>Differences from the hardware: lines have no bit rate (bytes go as fast as the other end takes them), interrupts
 * that a chip would raise after a delay come at once, and an 8254 that is behind time leaves out ticks.
 *
 * <p>Every device guards its state with its own lock, because several processors, the timer thread and the host call it.
 * It may call the interrupt wires, and through them the partition, with that lock held.
 */
package org.torte.machine.chipset;
