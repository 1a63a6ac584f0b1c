package org.torte.network.host;

import java.net.SocketAddress;

/**
 * Where a {@link Relay} leads.
 *
 * @param address connected to once for each connection that comes
 * @param gone takes away what was made for it
 */
record RelayTarget(SocketAddress address, Runnable gone) {}
