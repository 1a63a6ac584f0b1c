/**
 * The virtual switch: ports ({@link org.torte.network.SwitchPort}) with VLANs, rules, guards and limits ({@link
 * org.torte.network.PortSettings}), and a table of where stations are. It follows IEEE 802.1Q-2018 for bridges with VLANs,
 * without spanning trees. Frames are Ethernet frames without preamble and check sequence; how they travel stands in {@link
 * org.torte.base.net}.
 *
 * <p>A batch of frames is judged frame by frame ({@code Forwarder}); what all goes to one port and needs no change, as
 * nearly all traffic, is handed to that port's adapter as it is. Nothing on that way allocates or takes a lock for long.
 */
package org.torte.network;
