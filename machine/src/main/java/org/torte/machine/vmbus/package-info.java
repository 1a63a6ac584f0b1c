/**
 * The VMBus: how guests find synthetic devices and exchange packets with them (the protocol of the Linux and Windows
 * guests' own drivers, versions 2.4 to 5.3).
 *
 * <p><b>Writing a device.</b> Implement {@link org.torte.machine.vmbus.VmbusDevice} and attach it with
 * {@link org.torte.machine.vmbus.Vmbus#attach}. The bus offers it to the guest; when the guest opens its channel, the bus
 * calls {@code open} once and then {@code serve}, one call at a time, whenever there may be packets to read or room to
 * write. {@code serve} takes packets with {@link org.torte.machine.vmbus.Channel#receive} until there are none and
 * answers with the channel's {@code send} methods, then or later, from any thread. Packets that are sent become visible
 * with {@link org.torte.machine.vmbus.Channel#flush}, which the bus calls after {@code serve}. Guest memory that packets
 * name is a {@link org.torte.machine.vmbus.GuestRange}, checked once.
 *
 * <p><b>Guests are hostile.</b> Packets are copied out of the ring before they are looked at; ring positions are kept on
 * this side and those of the guest are checked at each use; a channel whose ring makes no sense is left alone until the
 * guest closes it. All that a guest can make the host keep is bounded.
 *
 * <p>Departures: no monitor pages (every signal is a hypercall or an event), no versions before 2.4, no sockets.
 */
package org.torte.machine.vmbus;
