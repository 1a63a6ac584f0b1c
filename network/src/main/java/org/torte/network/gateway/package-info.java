/**
 * What makes a switch a network that just works: addresses by DHCP (RFC 2131) and router advertisements (RFC 4861), names
 * by DNS (RFC 1035), and a way out. {@link org.torte.network.gateway.Gateway} sits at a port of the switch as the network's
 * router; what is not for itself it gives to an {@link org.torte.network.gateway.Upstream}.
 *
 * <p>These services are Torte's own although libslirp has some of them, because leases must outlive restarts, names belong to
 * machines, and both must be the same whoever does the address translation. Guests are hostile: whatever they send is
 * parsed with every length checked, costs bounded memory and, apart from traffic for the upstream, is limited in its rate.
 */
@NullMarked
package org.torte.network.gateway;

import org.jspecify.annotations.NullMarked;
