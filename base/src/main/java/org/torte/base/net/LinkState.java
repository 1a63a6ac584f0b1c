package org.torte.base.net;

/**
 * Whether frames can travel, and how.
 *
 * @param up whether somebody is at the other end
 * @param bitsPerSecond the nominal speed that guests are told
 * @param mtu the most bytes of a frame after its Ethernet header and VLAN tag that the other end takes, 576 to 65535;
 *     large sends may be larger, what is cut from them is not
 */
public record LinkState(boolean up, long bitsPerSecond, int mtu) {
    /** What Ethernet has had from the start. */
    public static final int DEFAULT_MTU = 1500;

    /** The least that IPv4 hosts must take (RFC 1122, section 3.3.3) and the most that its length can say. */
    public static final int MIN_MTU = 576, MAX_MTU = 65535;

    /** The speed of links that have none of their own. */
    public static final long DEFAULT_SPEED = 10_000_000_000L;

    /** Checks the ranges. */
    public LinkState {
        if (mtu < MIN_MTU || mtu > MAX_MTU || bitsPerSecond < 0) {
            throw new IllegalArgumentException(mtu + " bytes, " + bitsPerSecond + " bit/s");
        }
    }

    /** The same, up or down. */
    public LinkState withUp(boolean isUp) {
        return new LinkState(isUp, bitsPerSecond, mtu);
    }
}
