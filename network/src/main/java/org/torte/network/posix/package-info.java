/** The host's system calls for networks, through java.lang.foreign: descriptors, sockets that carry them, shared memory. */
package org.torte.network.posix;
