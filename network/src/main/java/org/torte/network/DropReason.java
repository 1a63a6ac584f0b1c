package org.torte.network;

/** Why a switch did not deliver a frame. Each port counts them apart. */
public enum DropReason {
    /** The port that sent it, or the one that it was for, is disabled or has nobody plugged in. */
    LINK_DOWN,
    /** Shorter than an Ethernet header. */
    RUNT,
    /** Longer than the MTU of its sender's or its receiver's port, and no large send. */
    GIANT,
    /** Its headers contradict themselves, where a rule or guard of the port had to read them. */
    MALFORMED,
    /** It claims to come from another address than its port's, or from one that is another port's. */
    SPOOFED_SOURCE,
    /** Its VLAN is not one of the port that sent it. */
    VLAN,
    /** A rule of its sender's or its receiver's port denies it. */
    ACL,
    /** It answers as a DHCP server does, and its port is guarded. */
    DHCP_GUARD,
    /** It advertises a router or a better route, and its port is guarded. */
    ROUTER_GUARD,
    /** It goes to many ports, and its port has sent too many such frames lately. */
    FLOOD_LIMIT,
    /** It is for the link between two bridges only (IEEE 802.1Q-2018, table 8-1). */
    LINK_LOCAL,
    /** Whom it is for is at the port that it came from, or nobody else is in its VLAN. */
    NOWHERE,
    /** Its receiver has taken nothing for too long. */
    RECEIVER_FULL;

    /** Its place in tables of counters. */
    @SuppressWarnings("EnumOrdinal") // nothing is stored
    int index() {
        return ordinal();
    }
}
