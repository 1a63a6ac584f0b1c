/**
 * Worker processes: one for each running virtual machine, started by the service but independent of it. Whoever finds the
 * folder of the virtual machine finds its worker, by the lock it holds and its control socket.
 */
package org.torte.management.process;
