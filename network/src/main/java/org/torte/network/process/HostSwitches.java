package org.torte.network.process;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.torte.base.RandomSource;
import org.torte.base.Timers;
import org.torte.network.NetworkException;
import org.torte.network.SwitchPort;
import org.torte.network.host.HostEnd;
import org.torte.network.host.Nat;
import org.torte.network.host.PortForward;

/** All switches of a host, and who is connected to their ports. Safe for several threads. */
final class HostSwitches implements AutoCloseable {
    private final Path folder;
    private final Timers timers;
    private final RandomSource random;
    /** By the key of the name. */
    private final Map<String, LiveSwitch> switches = new LinkedHashMap<>();

    private final Map<String, LivePort> ports = new LinkedHashMap<>();
    private final Map<String, PortSession> sessions = new HashMap<>();
    private List<ConfigurationProblem> problems = List.of();

    /** A machine's port that is there. */
    static final class LivePort {
        PortDefinition definition;
        final LiveSwitch network;
        final SwitchPort port;
        final Set<PortForward> forwards = new LinkedHashSet<>();

        LivePort(PortDefinition definition, LiveSwitch network, SwitchPort port) {
            this.definition = definition;
            this.network = network;
            this.port = port;
        }

        /** Whether it can become this by other settings alone. */
        boolean canBe(PortDefinition wanted) {
            return SwitchDefinition.key(wanted.network()).equals(SwitchDefinition.key(definition.network()))
                    && wanted.machine().equals(definition.machine())
                    && wanted.address().equals(definition.address());
        }
    }

    /**
     * Without any switch.
     *
     * @param folder where those that keep something have folders of their names
     */
    HostSwitches(Path folder, Timers timers, RandomSource random) {
        this.folder = folder;
        this.timers = timers;
        this.random = random;
    }

    /** Makes a configuration true as far as it can be; tells what cannot. What does not change is not disturbed. */
    synchronized List<ConfigurationProblem> apply(NetworkConfiguration wanted) {
        List<ConfigurationProblem> found = new ArrayList<>();
        Map<String, SwitchDefinition> definitions = new HashMap<>();
        wanted.switches().forEach(one -> definitions.put(SwitchDefinition.key(one.name()), one));
        Map<String, PortDefinition> wantedPorts = new HashMap<>();
        wanted.ports().forEach(one -> wantedPorts.put(one.id(), one));

        for (LivePort port : List.copyOf(ports.values())) {
            PortDefinition its = wantedPorts.get(port.definition.id());
            if (its == null || !port.canBe(its) || !stays(port.network, definitions.get(key(port)))) {
                remove(port);
            }
        }
        for (Map.Entry<String, LiveSwitch> one : List.copyOf(switches.entrySet())) {
            SwitchDefinition its = definitions.get(one.getKey());
            if (!stays(one.getValue(), its)) {
                switches.remove(one.getKey());
                end(one.getValue(), its, found);
            }
        }
        undoLeftovers(definitions, found);
        for (SwitchDefinition one : wanted.switches()) {
            open(one, found);
        }
        // First all that is given up, so that a port of the host can go from one machine to another.
        wanted.ports().forEach(this::giveUpForwards);
        for (PortDefinition one : wanted.ports()) {
            place(one, found);
        }
        switches.values().forEach(this::mirror);
        problems = List.copyOf(found);
        return problems;
    }

    private static boolean stays(LiveSwitch live, @Nullable SwitchDefinition wanted) {
        return live.definition().equals(wanted) && live.broken().isEmpty();
    }

    /** Ends a switch: what it has made at the host stays there for its next form, if that has a use for it. */
    private static void end(LiveSwitch old, @Nullable SwitchDefinition next, List<ConfigurationProblem> found) {
        SwitchDefinition its = old.definition();
        if (next != null && next.type() == its.type() && next.hostInterface().equals(its.hostInterface())) {
            old.close();
            return;
        }
        try {
            old.remove();
        } catch (NetworkException e) {
            found.add(new ConfigurationProblem(its.name(), "", reason(e)));
        }
    }

    /** Undoes what switches have made at the host that were removed while no process ran, or when it could not be undone. */
    private void undoLeftovers(Map<String, SwitchDefinition> definitions, List<ConfigurationProblem> found) {
        if (!Files.isDirectory(folder)) {
            return;
        }
        try (DirectoryStream<Path> all = Files.newDirectoryStream(folder)) {
            for (Path one : all) {
                String key = one.getFileName().toString();
                SwitchDefinition its = definitions.get(key);
                LiveSwitch live = switches.get(key);
                if (its != null && its.servesHost()) {
                    continue; // it finds its own, whatever that is
                }
                try {
                    HostEnd.undo(one);
                    if (live == null) {
                        Nat.undo(one);
                    }
                } catch (NetworkException e) {
                    found.add(new ConfigurationProblem(key, "", reason(e)));
                }
            }
        } catch (IOException | DirectoryIteratorException e) {
            throw new NetworkException("the folder " + folder + " cannot be read: " + e.getMessage(), e);
        }
    }

    private static String key(LivePort port) {
        return SwitchDefinition.key(port.definition.network());
    }

    private void open(SwitchDefinition definition, List<ConfigurationProblem> found) {
        String key = SwitchDefinition.key(definition.name());
        if (switches.containsKey(key)) {
            return;
        }
        try {
            switches.put(key, LiveSwitch.open(definition, folder.resolve(key), timers, random));
        } catch (NetworkException | UncheckedIOException e) {
            found.add(new ConfigurationProblem(definition.name(), "", reason(e)));
        }
    }

    private static String reason(RuntimeException e) {
        return e instanceof UncheckedIOException failed
                ? failed.getMessage() + ": " + failed.getCause()
                : String.valueOf(e.getMessage());
    }

    private void giveUpForwards(PortDefinition wanted) {
        LivePort live = ports.get(wanted.id());
        if (live != null) {
            for (PortForward forward : List.copyOf(live.forwards)) {
                if (!wanted.forwards().contains(forward)) {
                    live.network.removeForward(forward);
                    live.forwards.remove(forward);
                }
            }
        }
    }

    private void place(PortDefinition wanted, List<ConfigurationProblem> found) {
        LivePort live = ports.get(wanted.id());
        try {
            if (live == null) {
                live = add(wanted);
                if (live == null) {
                    found.add(new ConfigurationProblem(
                            wanted.network(), wanted.id(), "there is no switch " + wanted.network()));
                    return;
                }
            } else if (!live.definition.options().equals(wanted.options())) {
                live.network.configure(live.port, wanted);
            }
            live.definition = wanted;
        } catch (NetworkException | UncheckedIOException e) {
            found.add(new ConfigurationProblem(wanted.network(), wanted.id(), reason(e)));
            return;
        }
        for (PortForward forward : wanted.forwards()) {
            try {
                if (!live.forwards.contains(forward)) {
                    live.network.addForward(wanted, forward);
                    live.forwards.add(forward);
                }
            } catch (NetworkException e) {
                found.add(new ConfigurationProblem(wanted.network(), wanted.id(), String.valueOf(e.getMessage())));
            }
        }
    }

    private @Nullable LivePort add(PortDefinition wanted) {
        LiveSwitch network = switches.get(SwitchDefinition.key(wanted.network()));
        if (network == null) {
            return null;
        }
        LivePort live = new LivePort(wanted, network, network.add(wanted));
        ports.put(wanted.id(), live);
        PortSession session = sessions.get(wanted.id());
        if (session != null) {
            session.moveTo(live.port, wanted.address());
        }
        return live;
    }

    private void remove(LivePort port) {
        ports.remove(port.definition.id());
        PortSession session = sessions.get(port.definition.id());
        if (session != null) {
            session.moveTo(null, port.definition.address());
        }
        port.network.remove(port.definition, port.port, port.forwards);
    }

    private void mirror(LiveSwitch network) {
        List<SwitchPort> sources = new ArrayList<>();
        List<SwitchPort> destinations = new ArrayList<>();
        for (LivePort port : ports.values()) {
            if (port.network.equals(network)) {
                switch (port.definition.options().mirroring()) {
                    case NONE -> {}
                    case SOURCE -> sources.add(port.port);
                    case DESTINATION -> destinations.add(port.port);
                }
            }
        }
        network.mirror(sources, destinations);
    }

    /** A machine is there: it is at its port from now on, or as soon as there is one. One that was there before goes. */
    synchronized void connected(PortSession session) {
        PortSession old = sessions.put(session.id(), session);
        if (old != null) {
            old.moveTo(null, old.address());
            old.close();
        }
        LivePort port = ports.get(session.id());
        if (port != null) {
            session.moveTo(port.port, port.definition.address());
        }
    }

    /** A machine has gone; its port is free. */
    synchronized void gone(PortSession session) {
        if (sessions.remove(session.id(), session)) {
            session.moveTo(null, session.address());
        }
    }

    /** How many machines are there. */
    synchronized int connections() {
        return sessions.size();
    }

    /** Whether something of the host depends on this process even without machines. */
    synchronized boolean servesHost() {
        return switches.values().stream().anyMatch(one -> one.definition().servesHost());
    }

    /** What there is, for people. */
    synchronized Map<String, Object> status() {
        List<ConfigurationProblem> all = new ArrayList<>(problems);
        for (LiveSwitch one : switches.values()) {
            if (!one.broken().isEmpty()) {
                all.add(new ConfigurationProblem(
                        one.definition().name(),
                        "",
                        one.broken() + ": change the switch, or start a machine, to make it again"));
            }
        }
        return StatusText.of(switches.values(), ports.values(), sessions, all);
    }

    @Override
    public synchronized void close() {
        sessions.values().forEach(session -> session.moveTo(null, session.address()));
        sessions.values().forEach(PortSession::close);
        sessions.clear();
        ports.clear();
        switches.values().forEach(LiveSwitch::close);
        switches.clear();
    }
}
