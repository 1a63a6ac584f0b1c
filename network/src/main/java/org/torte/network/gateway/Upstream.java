package org.torte.network.gateway;

import org.torte.base.net.FrameBatch;

/**
 * The way out of a network: address translation by somebody. It knows the gateway's addresses as its own and gets what
 * stations send there, apart from what the gateway answers itself. Safe for several threads.
 */
public interface Upstream extends AutoCloseable {
    /** Where packets from outside go. */
    interface Inside {
        /**
         * Sends an IP packet to the station that has its target's address; drops it when nobody has. The Ethernet
         * addresses in the frame mean nothing yet and are filled in.
         *
         * @param frames of the caller, who may use them again on return
         */
        void deliver(FrameBatch frames);
    }

    /** Begins, and says where packets from outside go. Called once. */
    void start(Inside inside);

    /**
     * Takes one frame with an IP packet. Never blocks; drops it when it can do no more.
     *
     * @param frames only read
     */
    void send(FrameBatch frames, int frame);

    /** Some frames were sent; it is a good moment to begin with them. */
    void flush();

    /**
     * Whether what a guest sends to the gateway from this UDP port answers what came in by a forward. (TCP says itself
     * who began.)
     */
    boolean forwardsUdp(int guestPort);

    /** Whether the host offers a service at this TCP port of {@link Subnet#host}. */
    default boolean offers(int port) {
        return false;
    }

    /** Whether it has a way for IPv6: without, stations are not told that there is a router for it. */
    boolean ipv6();

    @Override
    void close();
}
