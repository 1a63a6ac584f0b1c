/**
 * Networks of two ends and of none: a cable between two machines, which may belong to two processes, and a loopback. Both
 * are {@link org.torte.base.net.NetworkPort}s, as those of a switch are.
 */
package org.torte.network.cable;
