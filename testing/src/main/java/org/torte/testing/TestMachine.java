package org.torte.testing;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.torte.disk.CreateOptions;
import org.torte.disk.DiskFormat;
import org.torte.disk.DiskOptions;
import org.torte.disk.VirtualDisks;
import org.torte.network.host.PortForward;
import org.torte.worker.DiskSource;
import org.torte.worker.InputException;
import org.torte.worker.NetworkSource;
import org.torte.worker.VirtualMachine;
import org.torte.worker.guest.GuestImages;
import org.torte.worker.guest.TinyGuest;
import org.torte.worker.guest.TinyGuests;

/**
 * A virtual machine with a small Linux, for tests: its root's shell, and a clean state that it can go back to. {@link Vm}
 * makes it for JUnit; {@link #boot} makes one anywhere. For one thread at a time.
 */
public final class TestMachine implements AutoCloseable {
    private static final long MEBIBYTE = 1 << 20;

    private final Vm properties;
    private final Path folder;
    private final Map<Integer, Integer> hostPorts = new TreeMap<>();
    private VirtualMachine machine;
    private GuestShell shell;
    private int disks;
    private @Nullable Path clean;
    private boolean used;

    private TestMachine(Vm properties, Path folder) {
        this.properties = properties;
        this.folder = folder;
        for (int port : properties.guestPorts()) {
            hostPorts.put(port, freePort());
        }
        Path disk = disk(disks);
        new TinyGuests(new GuestImages(step -> {})).guest().disk(disk, properties.disk() * MEBIBYTE);
        VirtualMachine.Builder builder = TinyGuest.machine(disk)
                .processors(properties.processors())
                .memory(properties.memory() * MEBIBYTE)
                .hypervisor(properties.hypervisor());
        networks().forEach(builder::network);
        machine = builder.build();
        try {
            machine.start();
            shell = GuestShell.await(machine.console(), TinyGuest.PROMPT, patience());
            if (properties.network() == Vm.Network.NAT) {
                shell.output("until grep -q nameserver /etc/resolv.conf; do usleep 100000; done");
            }
        } catch (RuntimeException | Error e) {
            machine.close();
            throw e;
        }
    }

    /**
     * Boots a machine and waits for its shell, with a network also for its address.
     *
     * @throws InputException when no guest can be made here, or there can be no such machine; says why
     * @throws AssertionError with what was printed, when there is no shell in time
     */
    public static TestMachine boot(Vm properties) {
        Path folder;
        try {
            folder = Files.createTempDirectory("torte-vm-");
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        try {
            return new TestMachine(properties, folder);
        } catch (RuntimeException | Error e) {
            delete(folder);
            throw e;
        }
    }

    private Path disk(int number) {
        return folder.resolve("disk" + number + ".vhdx");
    }

    private Duration patience() {
        return Duration.ofSeconds(properties.patience());
    }

    private List<NetworkSource> networks() {
        if (properties.network() == Vm.Network.NONE) {
            return List.of();
        }
        List<PortForward> forwards = new ArrayList<>();
        hostPorts.forEach((guest, host) -> forwards.add(PortForward.parse(host + ":" + guest)));
        return List.of(NetworkSource.of(
                new NetworkSource.Nat(folder.resolve("network"), properties.name(), forwards, List.of())));
    }

    private static int freePort() {
        try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            return socket.getLocalPort();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /**
     * Runs a command in the guest's shell and waits for its end.
     *
     * @throws AssertionError with what was printed, when it takes too long
     */
    public GuestShell.Result run(String command) {
        return shell().run(command);
    }

    /**
     * The output of a command that must succeed.
     *
     * @throws AssertionError when it fails or takes too long
     */
    public String output(String command) {
        return shell().output(command);
    }

    /** The shell on its console. */
    public GuestShell shell() {
        used = true;
        return shell;
    }

    /** The machine as it runs now; after {@link #restore} it is another one. Not to be closed. */
    public VirtualMachine machine() {
        used = true;
        return machine;
    }

    /**
     * The port of the host, on 127.0.0.1, that leads to a TCP port of the guest.
     *
     * @throws IllegalArgumentException when the port is not one of {@link Vm#guestPorts}, or there is no network
     */
    public int hostPort(int guestPort) {
        Integer port = properties.network() == Vm.Network.NAT ? hostPorts.get(guestPort) : null;
        if (port == null) {
            throw new IllegalArgumentException("nothing leads to the guest's port " + guestPort
                    + "; give network = NAT and guestPorts = " + guestPort + " to @Vm");
        }
        return port;
    }

    /**
     * Copies a file, or a folder with all that is in it, into the guest. Files come as they are, with their permission to
     * be executed, and belong to root; symbolic links are followed.
     *
     * @param source on the host
     * @param target its path in the guest; folders above it are made
     * @throws UncheckedIOException when the source cannot be read
     * @throws AssertionError when the guest has no room for it
     */
    public void push(Path source, String target) {
        new PushedFiles(folder.resolve("pushed.raw")).push(source, target, machine(), shell());
    }

    /** Makes what the machine is now its clean state, unless it has one. */
    void keep() {
        if (clean == null && properties.restore()) {
            Path state = folder.resolve("clean.state");
            machine.checkpoint(Optional.of(state), Map.of(0, disk(++disks)), (_, _) -> {});
            clean = state;
            used = false;
        }
    }

    /** Goes back to the clean state, if the machine has been used since. */
    void restore() {
        Path state = clean;
        if (state == null || !used) {
            return;
        }
        machine.close();
        try {
            Files.deleteIfExists(disk(disks));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        Path disk = disk(++disks);
        VirtualDisks.create(disk, DiskFormat.VHDX, CreateOptions.differencing(disk(0)), DiskOptions.readWrite());
        VirtualMachine.Builder builder = VirtualMachine.builder()
                .savedState(state)
                .hypervisor(properties.hypervisor())
                .disk(DiskSource.of(disk));
        networks().forEach(builder::network);
        machine = builder.build();
        machine.start();
        shell = GuestShell.of(machine.console(), patience());
        used = false;
    }

    /** Turns the machine off and deletes all that it had. */
    @Override
    public void close() {
        machine.close();
        delete(folder);
    }

    private static void delete(Path folder) {
        try (Stream<Path> files = Files.walk(folder)) {
            for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
                Files.deleteIfExists(file);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
