/**
 * The network adapters of the VMBus: the protocol that the Linux and Windows guests' own drivers speak, NVSP versions 1 to
 * 6.1 with RNDIS messages inside ([MS-RNDIS]), and its objects of NDIS 6.
 *
 * <p>{@link org.torte.machine.network.SyntheticAdapter} is the device. It has no network of its own: it is plugged into a
 * {@link org.torte.base.net.NetworkPort}. What the guest sends is copied out of its memory once, and only the copy is looked
 * at; what comes for it waits in a queue of fixed size until the guest has given a place in its receive buffer.
 *
 * <p>Departures: one channel (no receive-side scaling), no virtual functions, no PacketDirect, no chimney, no wake-up.
 */
package org.torte.machine.network;
