package org.torte.network;

import java.util.List;
import org.torte.base.net.LinkState;

/**
 * What an administrator says about a port. The defaults are those of {@link #named}.
 *
 * @param name for people; not empty
 * @param role whether a machine or the rest of the network is at the port
 * @param enabled false pulls the cable
 * @param mtu the most bytes of a frame after its Ethernet header and tag, 576 to 65535
 * @param vlan the VLANs
 * @param macSpoofing whether frames may come from other addresses than the adapter's; those are learned
 * @param dhcpGuard drops what DHCP servers send, of both IP versions
 * @param routerGuard drops router advertisements and redirections
 * @param rules in the order in which they are asked
 * @param bitsPerSecond how much may be sent on average, 0 for no limit. Who sends more has to wait
 * @param floodsPerSecond how many frames to many ports may be sent, with bursts of a second's worth
 * @param addresses how many other addresses than the adapter's the switch learns here
 */
public record PortSettings(
        String name,
        Role role,
        boolean enabled,
        int mtu,
        PortVlan vlan,
        boolean macSpoofing,
        boolean dhcpGuard,
        boolean routerGuard,
        List<AclRule> rules,
        long bitsPerSecond,
        int floodsPerSecond,
        int addresses) {
    /** Who is at a port. */
    public enum Role {
        /** A machine, which says which address it has. */
        MACHINE,
        /** The host, its network or a gateway: many addresses, and what nobody knows may be there. */
        UPLINK
    }

    /** The most rules of a port; each frame may be compared with all. */
    public static final int MAX_RULES = 1024;

    /** Checks the ranges and copies the list. */
    public PortSettings {
        rules = List.copyOf(rules);
        if (name.isEmpty()) {
            throw new IllegalArgumentException("a port has a name");
        }
        if (mtu < LinkState.MIN_MTU || mtu > LinkState.MAX_MTU) {
            throw new IllegalArgumentException("an MTU of " + mtu + " is not within 576 to 65535");
        }
        if (rules.size() > MAX_RULES) {
            throw new IllegalArgumentException("more than " + MAX_RULES + " rules");
        }
        if (bitsPerSecond < 0 || floodsPerSecond < 1 || addresses < 0) {
            throw new IllegalArgumentException("a limit is below its least");
        }
    }

    /** A machine's port, without limits and guards, whose machine may only use its own address. */
    public static PortSettings named(String name) {
        return new PortSettings(
                name,
                Role.MACHINE,
                true,
                LinkState.DEFAULT_MTU,
                PortVlan.UNTAGGED,
                false,
                false,
                false,
                List.of(),
                0,
                10_000,
                64);
    }

    /** A port to the rest of the network. */
    public static PortSettings uplink(String name) {
        return new PortSettings(
                name,
                Role.UPLINK,
                true,
                LinkState.DEFAULT_MTU,
                PortVlan.UNTAGGED,
                true,
                false,
                false,
                List.of(),
                0,
                100_000,
                8192);
    }

    /** The same, connected or not. */
    public PortSettings withEnabled(boolean value) {
        return new PortSettings(
                name,
                role,
                value,
                mtu,
                vlan,
                macSpoofing,
                dhcpGuard,
                routerGuard,
                rules,
                bitsPerSecond,
                floodsPerSecond,
                addresses);
    }

    /** The same with another MTU. */
    public PortSettings withMtu(int value) {
        return new PortSettings(
                name,
                role,
                enabled,
                value,
                vlan,
                macSpoofing,
                dhcpGuard,
                routerGuard,
                rules,
                bitsPerSecond,
                floodsPerSecond,
                addresses);
    }

    /** The same in other VLANs. */
    public PortSettings withVlan(PortVlan value) {
        return new PortSettings(
                name,
                role,
                enabled,
                mtu,
                value,
                macSpoofing,
                dhcpGuard,
                routerGuard,
                rules,
                bitsPerSecond,
                floodsPerSecond,
                addresses);
    }

    /** The same, with other source addresses allowed or not. */
    public PortSettings withMacSpoofing(boolean value) {
        return new PortSettings(
                name,
                role,
                enabled,
                mtu,
                vlan,
                value,
                dhcpGuard,
                routerGuard,
                rules,
                bitsPerSecond,
                floodsPerSecond,
                addresses);
    }

    /** The same with these guards. */
    public PortSettings withGuards(boolean dhcp, boolean router) {
        return new PortSettings(
                name,
                role,
                enabled,
                mtu,
                vlan,
                macSpoofing,
                dhcp,
                router,
                rules,
                bitsPerSecond,
                floodsPerSecond,
                addresses);
    }

    /** The same with other rules. */
    public PortSettings withRules(List<AclRule> value) {
        return new PortSettings(
                name,
                role,
                enabled,
                mtu,
                vlan,
                macSpoofing,
                dhcpGuard,
                routerGuard,
                value,
                bitsPerSecond,
                floodsPerSecond,
                addresses);
    }

    /** The same with another limit of what it sends, in bits a second, 0 for none. */
    public PortSettings withBandwidth(long value) {
        return new PortSettings(
                name,
                role,
                enabled,
                mtu,
                vlan,
                macSpoofing,
                dhcpGuard,
                routerGuard,
                rules,
                value,
                floodsPerSecond,
                addresses);
    }

    /** The same with another limit of frames to many ports, a second. */
    public PortSettings withFloods(int value) {
        return new PortSettings(
                name,
                role,
                enabled,
                mtu,
                vlan,
                macSpoofing,
                dhcpGuard,
                routerGuard,
                rules,
                bitsPerSecond,
                value,
                addresses);
    }

    /** The same with another limit of learned addresses. */
    public PortSettings withAddresses(int value) {
        return new PortSettings(
                name,
                role,
                enabled,
                mtu,
                vlan,
                macSpoofing,
                dhcpGuard,
                routerGuard,
                rules,
                bitsPerSecond,
                floodsPerSecond,
                value);
    }
}
