package org.torte.network;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Collection;
import java.util.List;
import java.util.function.BiFunction;
import org.jspecify.annotations.Nullable;
import org.torte.base.RandomSource;
import org.torte.base.Timers;
import org.torte.base.net.LinkState;
import org.torte.base.net.MacAddress;
import org.torte.network.gateway.Gateway;
import org.torte.network.gateway.Lease;
import org.torte.network.gateway.Subnet;
import org.torte.network.host.HostService;
import org.torte.network.host.Nat;
import org.torte.network.host.PortForward;
import org.torte.network.host.UserNat;

/**
 * A switch with a gateway that translates addresses, without root: machines get addresses and names, reach whatever the host
 * reaches, and are reached through forwards. Its addresses are chosen once and kept in its folder, as are the leases.
 * Safe for several threads.
 */
public final class NatNetwork implements AutoCloseable {
    private static final int MAX_FOLDERS = 64;

    private final Path folder;
    private final FileChannel lockFile;
    private final VirtualSwitch network;
    private final Nat nat;
    private final Gateway gateway;

    private NatNetwork(Path folder, FileChannel lockFile, VirtualSwitch network, Nat nat, Gateway gateway) {
        this.folder = folder;
        this.lockFile = lockFile;
        this.network = network;
        this.nat = nat;
        this.gateway = gateway;
    }

    /**
     * Starts the network of a folder. When another process runs it, a like network is started from a folder beside it, with
     * {@code -2} and so on at its end.
     *
     * @param folder where it keeps its state; made if it is not there
     * @param hostLoopback whether machines reach the services of the host's own loopback address, at the gateway's address
     * @throws NetworkException when libslirp is missing or the folder cannot be used
     */
    public static NatNetwork open(Path folder, boolean hostLoopback, Timers timers, RandomSource random) {
        return open(folder, (_, subnet) -> new UserNat(subnet, LinkState.DEFAULT_MTU, hostLoopback), timers, random);
    }

    /**
     * Starts the network of a folder, whose addresses are translated by whom it is said.
     *
     * @throws NetworkException when they cannot be, or the folder cannot be used
     */
    public static NatNetwork open(Path folder, Nat.Kind translation, Timers timers, RandomSource random) {
        return open(
                folder,
                (chosen, subnet) -> Nat.open(translation, chosen, subnet, LinkState.DEFAULT_MTU),
                timers,
                random);
    }

    private static NatNetwork open(
            Path folder, BiFunction<Path, Subnet, Nat> upstream, Timers timers, RandomSource random) {
        FileChannel lock = null;
        Gateway gateway = null;
        VirtualSwitch network = null;
        try {
            Path chosen = folder;
            for (int i = 2; lock == null; i++) {
                lock = lock(Files.createDirectories(chosen));
                if (lock == null) {
                    if (i > MAX_FOLDERS) {
                        throw new NetworkException("the networks beside " + folder + " are all in use");
                    }
                    chosen = folder.resolveSibling(folder.getFileName() + "-" + i);
                }
            }
            Nat[] made = new Nat[1];
            Path its = chosen;
            gateway = Gateway.open(
                    chosen, LinkState.DEFAULT_MTU, subnet -> made[0] = upstream.apply(its, subnet), timers, random);
            network = new VirtualSwitch("nat", timers, random);
            gateway.start(network.addPort(PortSettings.named("gateway").withFloods(1_000_000)));
            NatNetwork started = new NatNetwork(chosen, lock, network, made[0], gateway);
            lock = null;
            gateway = null;
            network = null;
            return started;
        } catch (AccessDeniedException e) {
            throw new NetworkException(
                    "a NAT network keeps its addresses in " + folder + ", which this user may not write", e);
        } catch (IOException e) {
            throw new NetworkException("the folder " + folder + " cannot be used for a network: " + e.getMessage(), e);
        } finally {
            if (gateway != null) {
                gateway.close();
            }
            if (network != null) {
                network.close();
            }
            close(lock);
        }
    }

    private static @Nullable FileChannel lock(Path folder) throws IOException {
        FileChannel file =
                FileChannel.open(folder.resolve("lock"), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
        try {
            FileLock held = file.tryLock();
            if (held != null) {
                return file;
            }
        } catch (OverlappingFileLockException e) {
            // This process has it already.
        }
        file.close();
        return null;
    }

    private static void close(@Nullable FileChannel file) {
        try {
            if (file != null) {
                file.close();
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Where it keeps its state: the folder that it was opened with, or one beside it. */
    public Path folder() {
        return folder;
    }

    /** The switch, to show its ports. */
    public VirtualSwitch network() {
        return network;
    }

    /** Who translates addresses. */
    public Nat nat() {
        return nat;
    }

    /** The gateway, to show leases. */
    public Gateway gateway() {
        return gateway;
    }

    /**
     * Makes a port for a machine, which gets its name in the network's domain and an address of its own.
     *
     * @param name letters, digits and hyphens, 63 at most
     * @param forwards the host's ports that lead to it
     * @throws NetworkException when another machine has the name, there is no address left or a port of the host is taken;
     *     then nothing has changed
     */
    public SwitchPort addMachine(String name, MacAddress station, List<PortForward> forwards) {
        return addMachine(name, station, forwards, PortSettings.named(name).withGuards(true, true));
    }

    /**
     * The same, with settings of its own.
     *
     * @throws NetworkException when another machine has the name, there is no address left or a port of the host is taken;
     *     then nothing has changed
     */
    public SwitchPort addMachine(String name, MacAddress station, List<PortForward> forwards, PortSettings settings) {
        Lease lease = gateway.register(name, station)
                .orElseThrow(() -> new NetworkException("the network has no address left for " + name));
        int done = 0;
        SwitchPort port = null;
        try {
            for (PortForward forward : forwards) {
                nat.addForward(forward, lease.address());
                done++;
            }
            port = network.addPort(settings);
            return port;
        } finally {
            if (port == null) {
                forwards.subList(0, done).forEach(nat::removeForward);
                gateway.unregister(name);
            }
        }
    }

    /** Takes a machine out: its port and forwards are gone, its lease stays. */
    public void removeMachine(String name, SwitchPort port, Collection<PortForward> forwards) {
        forwards.forEach(nat::removeForward);
        port.close();
        gateway.unregister(name);
    }

    /**
     * Lets one more port of the host lead to a machine.
     *
     * @throws NetworkException when that port is taken, or there is no such machine
     */
    public void addForward(String name, PortForward forward) {
        Lease lease = gateway.leaseOf(name)
                .orElseThrow(() -> new NetworkException("there is no machine " + name + " in the network"));
        nat.addForward(forward, lease.address());
    }

    /** Stops listening at a port of the host; connections that exist go on. */
    public void removeForward(PortForward forward) {
        nat.removeForward(forward);
    }

    /**
     * Lets machines reach a service of the host, at its port of {@code host.torte}; nothing else of the host's own is opened.
     *
     * @throws NetworkException when there is one at that port
     */
    public void offer(HostService service) {
        nat.offer(service);
    }

    /** Stops everything; machines that are still plugged in find their link down. */
    @Override
    public void close() {
        gateway.close();
        network.close();
        close(lockFile);
    }
}
