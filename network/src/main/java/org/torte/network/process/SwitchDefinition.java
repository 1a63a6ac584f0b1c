package org.torte.network.process;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.torte.base.net.LinkState;
import org.torte.network.AddressPrefix;
import org.torte.network.NetworkException;
import org.torte.network.host.Nat;

/**
 * A switch, as an administrator wants it.
 *
 * @param name what people call it; unique, whatever the case of letters
 * @param type who is at it besides machines
 * @param hostInterface the host's interface: what an internal switch gives the host, or one of type NAT if it is to, or what
 *     an external one is joined with; otherwise empty
 * @param mtu of its ports, 576 to 65535; 1500 for NAT
 * @param addresses that the host has at an internal switch, each with the length of its prefix; none for the others
 * @param translation who translates addresses, if it is of type NAT; USER for the others
 */
public record SwitchDefinition(
        String name, Type type, String hostInterface, int mtu, List<String> addresses, Nat.Kind translation) {
    /** The switch that is there from the start. */
    public static final String DEFAULT = "Default";

    private static final String NAME = "[A-Za-z0-9][A-Za-z0-9._-]{0,62}";
    private static final int LONGEST_INTERFACE = 15, MOST_ADDRESSES = 16;
    private static final String INTERFACE = "[A-Za-z0-9][A-Za-z0-9._-]{0,14}";

    /** Who is at a switch besides machines, after New-VMSwitch. */
    public enum Type {
        /** Nobody. */
        PRIVATE,
        /** The host, by an interface that it gets. */
        INTERNAL,
        /** The host's network, by an interface that it has. */
        EXTERNAL,
        /** A gateway with DHCP and DNS that translates addresses. */
        NAT;

        /** As people and files write it. */
        public String text() {
            return name().toLowerCase(Locale.ROOT);
        }

        /**
         * Reads {@link #text}.
         *
         * @throws NetworkException when there is no such type
         */
        public static Type parse(String text) {
            for (Type type : values()) {
                if (type.text().equals(text)) {
                    return type;
                }
            }
            throw new NetworkException("a switch is private, internal, external or nat, not \"" + text + "\"");
        }
    }

    /** One without addresses. */
    public SwitchDefinition(String name, Type type, String hostInterface, int mtu) {
        this(name, type, hostInterface, mtu, List.of());
    }

    /** One whose addresses, if it is of type NAT, this process translates. */
    public SwitchDefinition(String name, Type type, String hostInterface, int mtu, List<String> addresses) {
        this(name, type, hostInterface, mtu, addresses, Nat.Kind.USER);
    }

    /** Checks it. */
    public SwitchDefinition {
        addresses = addresses.stream().map(SwitchDefinition::checked).distinct().toList();
        if (!name.matches(NAME)) {
            throw new NetworkException("the name of a switch has 1 to 63 letters, digits, dots, hyphens and"
                    + " underscores, and begins with a letter or digit; not \"" + name + "\"");
        }
        boolean needs = type == Type.INTERNAL || type == Type.EXTERNAL; // the fields are not set yet
        boolean may = needs || type == Type.NAT && !hostInterface.isEmpty();
        if (may && !hostInterface.matches(INTERFACE)) {
            throw new NetworkException((needs ? "an " + type.text() : "a nat")
                    + " switch needs the name of an interface of the host, 1 to 15" + " characters, not \""
                    + hostInterface + "\"");
        }
        if (!may && !hostInterface.isEmpty()) {
            throw new NetworkException("a " + type.text() + " switch has no interface of the host");
        }
        if (mtu < LinkState.MIN_MTU || mtu > LinkState.MAX_MTU) {
            throw new NetworkException(
                    "the MTU of a switch is " + LinkState.MIN_MTU + " to " + LinkState.MAX_MTU + " bytes, not " + mtu);
        }
        if (!addresses.isEmpty() && type != Type.INTERNAL) {
            throw new NetworkException("only at an internal switch the host has addresses, not at "
                    + (type == Type.EXTERNAL ? "an " : "a ") + type.text() + " one");
        }
        if (addresses.size() > MOST_ADDRESSES) {
            throw new NetworkException("the host has at most " + MOST_ADDRESSES + " addresses at a switch");
        }
        if (translation != Nat.Kind.USER && type != Type.NAT) {
            throw new NetworkException("only a nat switch translates addresses, not "
                    + (type == Type.INTERNAL || type == Type.EXTERNAL ? "an " : "a ") + type.text() + " one");
        }
        if (translation != Nat.Kind.USER && !hostInterface.isEmpty()) {
            throw new NetworkException("a nat switch with an interface for the host translates by itself (--nat user);"
                    + " with the kernel's NAT the host reaches machines without one");
        }
        if (type == Type.NAT && mtu != LinkState.DEFAULT_MTU) {
            throw new NetworkException("the MTU of a NAT switch is " + LinkState.DEFAULT_MTU + " bytes");
        }
    }

    private static String checked(String text) {
        try {
            // Java also takes addresses with fewer than four parts.
            if (text.matches("([0-9]+\\.){3}[0-9]+/[0-9]+|.*:.*/[0-9]+")
                    && AddressPrefix.parse(text).length() > 0) {
                return text.toLowerCase(Locale.ROOT);
            }
        } catch (IllegalArgumentException e) {
            // Told below.
        }
        throw new NetworkException(
                "an address of the host is written 10.1.2.1/24 or fd00:1:2::1/64, not \"" + text + "\"");
    }

    /**
     * What the interface of an internal switch is called unless somebody says.
     *
     * @throws NetworkException when the switch's name is too long for that
     */
    public static String defaultInterface(String name) {
        String made = "to-" + name;
        if (made.length() > LONGEST_INTERFACE) {
            throw new NetworkException(
                    "the name of the switch is too long to name the host's interface after it: name one"
                            + " with --interface, of 15 characters at most");
        }
        return made;
    }

    /** The switch that is there from the start. */
    public static SwitchDefinition standard() {
        return new SwitchDefinition(DEFAULT, Type.NAT, "", LinkState.DEFAULT_MTU);
    }

    /** Whether the host has a part in it, so that it is there without machines. */
    public boolean servesHost() {
        return !hostInterface.isEmpty();
    }

    /** What two names must not share. */
    public static String key(String name) {
        return name.toLowerCase(Locale.ROOT);
    }

    static SwitchDefinition read(JsonFields from) {
        return new SwitchDefinition(
                from.string("name"),
                Type.parse(from.string("type")),
                from.string("interface", ""),
                Math.toIntExact(from.number("mtu", LinkState.DEFAULT_MTU)),
                from.strings("addresses"),
                Nat.Kind.parse(from.string("translation", Nat.Kind.USER.text())));
    }

    Map<String, Object> toMap() {
        Map<String, Object> map = new LinkedHashMap<>();
        map.put("name", name);
        map.put("type", type.text());
        if (!hostInterface.isEmpty()) {
            map.put("interface", hostInterface);
        }
        map.put("mtu", mtu);
        if (!addresses.isEmpty()) {
            map.put("addresses", addresses);
        }
        if (translation != Nat.Kind.USER) {
            map.put("translation", translation.text());
        }
        return map;
    }
}
