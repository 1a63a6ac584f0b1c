/**
 * The partition API: what every back-end offers and all that the tiers above may use.
 *
 * <p>A {@link org.torte.hypervisor.Hypervisor} makes {@link org.torte.hypervisor.Partition}s; a partition has guest
 * memory, interrupt controllers (a local APIC per processor, one IOAPIC) and
 * {@link org.torte.hypervisor.VirtualProcessor}s. What the back-end cannot do itself (ports, device memory, synthetic
 * and unknown MSRs) it asks of the {@link org.torte.hypervisor.ExitHandler}, on the processor's own thread.
 */
package org.torte.hypervisor;
