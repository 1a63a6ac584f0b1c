package org.torte.network.host;

import java.util.List;
import java.util.Optional;
import org.torte.network.NetworkException;

/**
 * The host's interfaces, as iproute2 shows and changes them: those of the network namespace of the thread that asks. A
 * program of the host's own and not netlink messages of ours, because it knows each attribute of addresses and routes, prints
 * what it takes, and is on every Linux; a batch of it is as quick as the messages are.
 */
interface IpCommand {
    /**
     * What {@code ip -j -d} prints.
     *
     * @throws NetworkException when there is no such program, or it fails
     */
    List<Shown> show(String... arguments);

    /** An interface, with its addresses. */
    Optional<Shown> link(String name);

    /**
     * Carries out commands in their order, up to the first that fails.
     *
     * @param family {@code -4} or {@code -6}; empty when the commands tell it themselves
     * @throws NetworkException with the command that failed, and why
     */
    void batch(String family, List<String> commands);
}
