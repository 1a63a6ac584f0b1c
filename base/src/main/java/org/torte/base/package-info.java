/**
 * The lowest tier, which knows nothing of processors or devices: guest memory, the clock, timers, randomness and the
 * versioned state container. Everything above gets time and randomness from here, so that a run can be repeated.
 */
package org.torte.base;
