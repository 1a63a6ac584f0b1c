/**
 * What back-ends have in common inside: the IOAPIC, registers that only hold a value, and the form of a processor's state
 * that none of them owns. Not for the tiers above.
 */
package org.torte.hypervisor.shared;
