/**
 * The Hyper-V interface to guests (Microsoft, Hypervisor Top Level Functional Specification, "TLFS"): what CPUID says,
 * the synthetic registers, the reference clock, hypercalls, the synthetic interrupt controllers and their timers. Plain
 * Java on the machine's clock, the same on every back-end: the hypercall page is filled with code that writes to a port.
 *
 * <p>Departures: pages that the guest gives are written to, not overlaid, so what was there before does not come back when
 * they are disabled. Hypercalls that flush translations flush all of them. Nothing is said about the virtual processors'
 * run time, and the local APIC has no registers of its own here. No invariant time-stamp counter is promised; scale and
 * offset of the reference page hold because counter and reference clock both follow the machine's clock, also over a
 * restore.
 */
package org.torte.machine.hyperv;
