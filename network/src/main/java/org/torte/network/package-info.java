/**
 * The virtual switch: what guests, hosts and services plug into.
 *
 * <p>Frames are Ethernet II and IEEE 802.3 frames without preamble and frame check sequence. A network interface has a
 * {@link org.torte.network.MacAddress}.
 */
package org.torte.network;
