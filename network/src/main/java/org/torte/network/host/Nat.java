package org.torte.network.host;

import java.nio.file.Path;
import org.torte.network.NetworkException;
import org.torte.network.gateway.Subnet;
import org.torte.network.gateway.Upstream;

/** A way out by which guests share the host's addresses, and are reached through the host's ports. Safe for several threads. */
public sealed interface Nat extends Upstream permits UserNat, KernelNat {
    /** Who translates addresses. */
    enum Kind {
        /** A library in this process, which anybody may use. */
        USER,
        /** The host's kernel, which an administrator may tell to. */
        KERNEL,
        /** The kernel where that is allowed and no firewall is in its way, else the library. */
        AUTO;

        /** As people and files write it. */
        public String text() {
            return name().toLowerCase(java.util.Locale.ROOT);
        }

        /**
         * Reads {@link #text}.
         *
         * @throws NetworkException when there is no such kind
         */
        public static Kind parse(String text) {
            for (Kind kind : values()) {
                if (kind.text().equals(text)) {
                    return kind;
                }
            }
            throw new NetworkException("addresses are translated by user, kernel or auto, not \"" + text + "\"");
        }
    }

    /**
     * Who translates a network's addresses from now on.
     *
     * @param folder the network's, where it is kept what was made at the host
     * @throws NetworkException why it cannot be
     */
    static Nat open(Kind kind, Path folder, Subnet subnet, int mtu) {
        KernelNat.undo(folder);
        return kind == Kind.USER
                ? new UserNat(subnet, mtu, false)
                : KernelNat.open(kind == Kind.KERNEL, folder, subnet, mtu);
    }

    /**
     * Takes away what a process has left at the host that was killed.
     *
     * @param folder of a network that does not run
     * @throws NetworkException when that fails
     */
    static void undo(Path folder) {
        KernelNat.undo(folder);
    }

    /**
     * Listens on the host and leads what comes to a guest.
     *
     * @throws NetworkException when the host's port is taken or not allowed
     */
    void addForward(PortForward forward, int guestAddress);

    /** Stops that; connections that exist go on. */
    void removeForward(PortForward forward);

    /** Whether it has ended by itself; then the network has to be made again. */
    boolean failed();

    /**
     * Offers a service of the host to the guests, until the end.
     *
     * @throws NetworkException when it cannot be, or there is one at its port
     */
    void offer(HostService service);
}
