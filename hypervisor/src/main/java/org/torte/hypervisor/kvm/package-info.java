/**
 * The back-end on Linux's /dev/kvm (Documentation/virt/kvm/api.rst of the kernel), by foreign-function calls alone.
 *
 * <p>Processors and local APICs are KVM's. The IOAPIC is {@link org.torte.hypervisor.shared.IoApic} (KVM calls this a
 * split interrupt controller): its state is then the same on every back-end, the machine's own 8259s and 8254 stay in
 * charge of their ports, and an edge costs what KVM's own IOAPIC would: one call that stops no processor. Only the end of
 * a level-triggered interrupt is an exit. Synthetic registers reach the machine through KVM's filter of model-specific
 * registers, so nothing here depends on KVM's Hyper-V emulation.
 */
package org.torte.hypervisor.kvm;
