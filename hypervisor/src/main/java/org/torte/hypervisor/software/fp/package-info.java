/**
 * Binary floating-point arithmetic in software, bit for bit as x86 processors do it: IEEE 754 in 32, 64 and 80 bits with
 * all rounding modes, exception flags and the x86 rules for NaNs and tiny results; and the x87 transcendental functions.
 */
@NullMarked
package org.torte.hypervisor.software.fp;

import org.jspecify.annotations.NullMarked;
