/**
 * The Hyper-V interface to guests (Microsoft, Hypervisor Top Level Functional Specification, "TLFS"): what CPUID says,
 * the synthetic registers, the reference clock. Plain Java on the machine's clock, the same on every back-end.
 *
 * <p>Departures: pages that the guest gives for hypercalls and the reference clock are written to, not overlaid, so what
 * was there before does not come back when they are disabled. There are no hypercalls, messages or synthetic timers so
 * far, and CPUID says so.
 */
package org.torte.machine.hyperv;
