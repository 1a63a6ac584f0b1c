package org.torte.machine.boot;

import org.torte.hypervisor.CpuState;

/**
 * A kernel in guest memory, ready to start.
 *
 * @param description what was loaded and how
 * @param start the registers that the bootstrap processor starts with
 */
record LoadedKernel(String description, CpuState start) {}
