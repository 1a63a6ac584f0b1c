package org.torte.worker;

import java.util.List;
import java.util.Optional;
import org.torte.base.net.MacAddress;

/**
 * What is known of a network adapter at one moment.
 *
 * @param address its Ethernet address
 * @param plug what it is plugged into
 * @param guests IP addresses that the network knows of the guest; none where it does not look
 * @param capture how far a capture has come, if there is one
 */
public record NetworkState(
        MacAddress address, NetworkSource.Plug plug, List<Known> guests, Optional<Capture.Result> capture) {
    /** Where an address is known from. */
    public enum Source {
        /** The guest has it from the network's DHCP server. */
        DHCP,
        /** The guest was seen to use it, by ARP or neighbour discovery. */
        NEIGHBOUR
    }

    /**
     * An address of the guest.
     *
     * @param text in the usual notation
     */
    public record Known(String text, Source source) {}

    /** Copies the list. */
    public NetworkState {
        guests = List.copyOf(guests);
    }
}
