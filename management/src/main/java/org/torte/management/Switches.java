package org.torte.management;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.lang.System.Logger.Level;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.function.Supplier;
import java.util.stream.Stream;
import java.util.zip.CRC32C;
import org.jspecify.annotations.Nullable;
import org.torte.base.net.LinkState;
import org.torte.base.net.MacAddress;
import org.torte.management.definition.Adapter;
import org.torte.management.definition.Json;
import org.torte.management.definition.VmDefinition;
import org.torte.management.process.SwitchHost;
import org.torte.management.store.DurableFile;
import org.torte.management.store.Reason;
import org.torte.network.NetworkException;
import org.torte.network.host.Nat;
import org.torte.network.host.PortForward;
import org.torte.network.process.ConfigurationProblem;
import org.torte.network.process.NetworkConfiguration;
import org.torte.network.process.PortDefinition;
import org.torte.network.process.SwitchDefinition;

/**
 * The switches of a host: what they are to be, and that they are it. Machines that run have ports; what their definitions say
 * of these holds at once. Safe for several threads.
 */
public final class Switches implements Ports {
    private static final System.Logger LOG = System.getLogger(Switches.class.getName());
    private static final int VERSION = 1;
    private static final int MAX_LABEL = 63;
    private static final int MOST = 256;

    private final DataFolder data;
    private final SwitchHost host;
    private final Events events;
    private final Supplier<List<VmDefinition>> machines;
    /**
     * In the order in which they were made; exchanged as a whole, so that nobody who looks has to wait for a change. A
     * change asks all machines, so whoever holds a machine must never wait for one.
     */
    private volatile List<SwitchDefinition> switches = List.of();
    /** How often it is looked whether the process is there that has the host's part in switches. */
    private static final Duration LOOK = Duration.ofSeconds(2);
    /** After a start, so long until the next one, twice as long each time. */
    private static final Duration FIRST_REST = Duration.ofSeconds(1), LONGEST_REST = Duration.ofSeconds(60);

    private final CountDownLatch closed = new CountDownLatch(1);

    /** Machines that run, or are about to: how many of their workers have not been told of as ended. */
    private final Map<UUID, Integer> active = new HashMap<>();

    /** A switch in the file and in requests. */
    public record Wish(
            @JsonProperty(required = true) String name,
            @JsonProperty(required = true) String type,
            @JsonProperty("interface") @Nullable String hostInterface,
            @Nullable Integer mtu,

            @JsonInclude(JsonInclude.Include.NON_NULL) @Nullable
            List<String> addresses,

            @JsonInclude(JsonInclude.Include.NON_NULL) @Nullable
            String translation) {
        SwitchDefinition definition() {
            try {
                SwitchDefinition.Type its = SwitchDefinition.Type.parse(type);
                String standard = its == SwitchDefinition.Type.INTERNAL ? SwitchDefinition.defaultInterface(name) : "";
                return new SwitchDefinition(
                        name,
                        its,
                        hostInterface == null ? standard : hostInterface,
                        mtu == null ? LinkState.DEFAULT_MTU : mtu,
                        addresses == null
                                ? List.of()
                                : addresses.stream().map(String::valueOf).toList(),
                        translation == null ? Nat.Kind.USER : Nat.Kind.parse(translation));
            } catch (NetworkException e) {
                throw new Problem(Problem.Kind.INVALID, String.valueOf(e.getMessage()), "correct it", e);
            }
        }

        static Wish of(SwitchDefinition one) {
            return new Wish(
                    one.name(),
                    one.type().text(),
                    one.hostInterface().isEmpty() ? null : one.hostInterface(),
                    one.mtu(),
                    one.addresses().isEmpty() ? null : one.addresses(),
                    one.translation() == Nat.Kind.USER
                            ? null
                            : one.translation().text());
        }
    }

    /** The file. */
    record Stored(
            @JsonProperty(required = true) int version,
            @JsonProperty(required = true) List<Wish> switches) {}

    /**
     * Those of a data folder.
     *
     * @param machines all definitions
     * @throws Problem when the file cannot be read
     */
    Switches(DataFolder data, SwitchHost host, Events events, Supplier<List<VmDefinition>> machines) {
        this.data = data;
        this.host = host;
        this.events = events;
        this.machines = machines;
        load();
    }

    private void load() {
        if (!Files.exists(data.switches())) {
            switches = List.of(SwitchDefinition.standard());
            return;
        }
        try {
            Stored stored = Json.read(
                    Files.readAllBytes(data.switches()),
                    Stored.class,
                    data.switches().toString());
            if (stored.version() != VERSION) {
                throw new Problem(
                        Problem.Kind.INVALID,
                        data.switches() + " has version " + stored.version() + ", which this Torte does not know",
                        "use the Torte that wrote it");
            }
            switches = stored.switches().stream().map(Wish::definition).toList();
        } catch (IOException e) {
            throw new Problem(
                    Problem.Kind.UNAVAILABLE,
                    data.switches() + " cannot be read (" + Reason.of(e) + ")",
                    "make it readable",
                    e);
        }
    }

    private void save() {
        try {
            DurableFile.replace(
                    data.switches(),
                    Json.pretty(
                            new Stored(VERSION, switches.stream().map(Wish::of).toList())));
        } catch (IOException e) {
            throw new Problem(
                    Problem.Kind.UNAVAILABLE,
                    data.switches() + " cannot be written (" + Reason.of(e) + ")",
                    "make room, and give the user of the service permission to write there",
                    e);
        }
    }

    /** All of them. */
    public List<SwitchDefinition> list() {
        return switches;
    }

    /**
     * One of them.
     *
     * @throws Problem NOT_FOUND
     */
    public SwitchDefinition find(String name) {
        return named(name)
                .orElseThrow(() -> new Problem(
                        Problem.Kind.NOT_FOUND,
                        "there is no switch \"" + VmDefinition.printable(name) + "\"",
                        "torte switch list shows those that there are"));
    }

    private Optional<SwitchDefinition> named(String name) {
        String key = SwitchDefinition.key(name);
        return switches.stream()
                .filter(one -> SwitchDefinition.key(one.name()).equals(key))
                .findFirst();
    }

    /**
     * Makes a switch.
     *
     * @throws Problem why it cannot be; then there is none
     */
    public synchronized SwitchDefinition create(Wish wish) {
        SwitchDefinition definition = wish.definition();
        if (named(definition.name()).isPresent()) {
            throw new Problem(
                    Problem.Kind.EXISTS,
                    "there is a switch called " + definition.name() + " already",
                    "choose another name");
        }
        if (switches.size() >= MOST) {
            throw new Problem(Problem.Kind.CONFLICT, "there are " + MOST + " switches", "remove one first");
        }
        replace(now -> now.add(definition), definition.name());
        events.add(
                "switch.created",
                definition.name(),
                Map.of("type", definition.type().text()));
        return definition;
    }

    /**
     * Changes a switch; machines at it lose their link for a moment.
     *
     * @param mtu of its ports, as it is if not given
     * @param hostInterface the host's interface, as it is if not given
     * @param addresses of the host, as they are if not given
     * @param translation who translates addresses, as it is if not given
     * @throws Problem why it cannot be; then it is as it was
     */
    public synchronized SwitchDefinition change(
            String name,
            @Nullable Integer mtu,
            @Nullable String hostInterface,
            @Nullable List<String> addresses,
            @Nullable String translation) {
        SwitchDefinition old = find(name);
        SwitchDefinition changed = new Wish(
                        old.name(),
                        old.type().text(),
                        hostInterface == null ? old.hostInterface() : hostInterface,
                        mtu == null ? old.mtu() : mtu,
                        addresses == null ? old.addresses() : addresses,
                        translation == null ? old.translation().text() : translation)
                .definition();
        if (!changed.equals(old)) {
            replace(now -> now.set(now.indexOf(old), changed), old.name());
            events.add("switch.changed", changed.name(), Map.of("mtu", changed.mtu()));
        }
        return changed;
    }

    /**
     * Removes a switch that no adapter is connected to.
     *
     * @throws Problem CONFLICT when one is
     */
    public synchronized void remove(String name) {
        SwitchDefinition definition = find(name);
        if (definition.name().equals(SwitchDefinition.DEFAULT)) {
            throw new Problem(
                    Problem.Kind.CONFLICT,
                    "the switch " + definition.name() + " is always there",
                    "connect machines to another one");
        }
        List<String> users = machines.get().stream()
                .filter(machine -> machine.hardware().adapters().stream().anyMatch(one -> isAt(one, definition)))
                .map(VmDefinition::name)
                .toList();
        if (!users.isEmpty()) {
            throw new Problem(
                    Problem.Kind.CONFLICT,
                    "adapters of " + String.join(", ", users) + " are connected to " + definition.name(),
                    "connect them to another switch with torte adapter connect, or remove them");
        }
        replace(now -> now.remove(definition), definition.name());
        events.add("switch.removed", definition.name(), Map.of());
    }

    private static boolean isAt(Adapter adapter, SwitchDefinition definition) {
        return adapter.switchName()
                .filter(name -> SwitchDefinition.key(name).equals(SwitchDefinition.key(definition.name())))
                .isPresent();
    }

    /** Changes the list, durably, or not at all when the switch that it is about cannot be. */
    private void replace(Consumer<List<SwitchDefinition>> change, String about) {
        WhatIf.wouldChange();
        List<SwitchDefinition> before = switches;
        List<SwitchDefinition> changed = new ArrayList<>(before);
        change.accept(changed);
        boolean done = false;
        try {
            switches = List.copyOf(changed);
            boolean ofHost = Stream.concat(before.stream(), switches.stream()).anyMatch(SwitchDefinition::servesHost);
            // Whether the kernel can, its process finds out, which also takes away what a killed one has left there.
            boolean byKernel = Stream.concat(before.stream(), switches.stream())
                    .anyMatch(one -> one.translation() != Nat.Kind.USER
                            && SwitchDefinition.key(one.name()).equals(SwitchDefinition.key(about)));
            for (ConfigurationProblem one : apply(Set.of(), ofHost || byKernel)) {
                if (one.port().isEmpty() && SwitchDefinition.key(one.network()).equals(SwitchDefinition.key(about))) {
                    throw refused(one);
                }
            }
            save();
            done = true;
        } finally {
            if (!done) {
                switches = before;
                List<ConfigurationProblem> _ = apply(Set.of(), false);
            }
        }
    }

    private static Problem refused(ConfigurationProblem one) {
        int end = one.message().indexOf(": ");
        return new Problem(
                Problem.Kind.CONFLICT,
                end < 0 ? one.message() : one.message().substring(0, end),
                end < 0 ? "change that, and try again" : one.message().substring(end + 2));
    }

    /** Starts switches that are to be there without machines, now and whenever their process has died. */
    void startByThemselves() {
        Thread _ = Thread.ofVirtual().name("switches").start(this::keep);
    }

    /** No more of that. */
    void close() {
        closed.countDown();
    }

    private void keep() {
        Duration rest = FIRST_REST;
        long next = System.nanoTime();
        try {
            do {
                long now = System.nanoTime();
                if (list().stream().noneMatch(SwitchDefinition::servesHost)) {
                    continue;
                }
                if (host.runs()) {
                    if (now - next > LONGEST_REST.toNanos()) {
                        rest = FIRST_REST; // it has lived for a while
                    }
                } else if (now - next >= 0) {
                    startAgain();
                    next = System.nanoTime() + rest.toNanos();
                    rest = rest.multipliedBy(2).compareTo(LONGEST_REST) > 0 ? LONGEST_REST : rest.multipliedBy(2);
                }
            } while (!closed.await(LOOK.toMillis(), TimeUnit.MILLISECONDS));
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private synchronized void startAgain() {
        try {
            if (closed.getCount() > 0) {
                apply(Set.of(), true).forEach(one -> LOG.log(Level.WARNING, one.network() + ": " + one.message()));
            }
        } catch (Problem e) {
            LOG.log(Level.WARNING, e.line());
        }
    }

    /** Writes the configuration and makes it true, if the process runs or is to. */
    private List<ConfigurationProblem> apply(Set<UUID> more, boolean start) {
        Set<UUID> wanted = new HashSet<>(active.keySet());
        wanted.addAll(more);
        List<PortDefinition> ports = new ArrayList<>();
        Map<String, Set<String>> labels = new HashMap<>();
        List<VmDefinition> all = machines.get().stream()
                .sorted(Comparator.comparing(VmDefinition::id))
                .toList();
        for (VmDefinition machine : all) {
            // Always in this order, and those that do not run, too: a label must not change when another machine
            // starts.
            List<PortDefinition> its = ports(machine, labels);
            if (wanted.contains(machine.id())) {
                ports.addAll(its);
            }
        }
        host.configure(new NetworkConfiguration(switches, ports));
        if (start) {
            host.start();
        }
        return host.runs() ? host.reload() : List.of();
    }

    /** The ports of a machine; {@code labels} are those that are in use at each switch. */
    private static List<PortDefinition> ports(VmDefinition machine, Map<String, Set<String>> labels) {
        List<PortDefinition> ports = new ArrayList<>();
        Set<String> networks = new HashSet<>();
        for (Adapter adapter : machine.hardware().adapters()) {
            Optional<String> network = adapter.switchName();
            if (network.isEmpty()) {
                continue;
            }
            String key = SwitchDefinition.key(network.get());
            String id = portId(machine.id(), adapter);
            String suffix = networks.add(key) ? "" : "-" + label(adapter.name());
            String label = label(machine.name(), suffix, id, labels.computeIfAbsent(key, _ -> new HashSet<>()));
            if (!adapter.port().disconnected()) {
                ports.add(new PortDefinition(
                        id,
                        network.get(),
                        label,
                        MacAddress.parse(adapter.address()),
                        adapter.port().options(),
                        adapter.forwards().stream().map(PortForward::parse).toList()));
            }
        }
        return ports;
    }

    /** What the port of an adapter is called between the service, its worker and the switch process. */
    public static String portId(UUID machine, Adapter adapter) {
        return machine + "/" + adapter.name();
    }

    /** A label that no other port at this switch has: names may differ in what labels do not have. */
    private static String label(String name, String suffix, String port, Set<String> used) {
        String label = joined(label(name), suffix);
        if (!label.isEmpty() && !used.add(label)) {
            CRC32C sum = new CRC32C();
            sum.update(port.getBytes(StandardCharsets.UTF_8));
            label = joined(label(name), suffix + "-" + HexFormat.of().toHexDigits((int) sum.getValue()));
            used.add(label);
        }
        return label;
    }

    private static String joined(String base, String suffix) {
        String end = suffix.substring(Math.max(0, suffix.length() - MAX_LABEL));
        return (base.substring(0, Math.min(base.length(), MAX_LABEL - end.length())) + end)
                .replaceAll("^-+|-+$", "")
                .replaceAll("--+", "-");
    }

    /** The name of a machine as it can be in the domain of its network (RFC 1123, section 2.1). */
    public static String label(String name) {
        String label = name.toLowerCase(Locale.ROOT).replaceAll("[^a-z0-9]+", "-");
        return label.substring(0, Math.min(label.length(), MAX_LABEL)).replaceAll("^-+|-+$", "");
    }

    private static boolean uses(VmDefinition machine) {
        return machine.hardware().adapters().stream()
                .anyMatch(one -> one.switchName().isPresent());
    }

    @Override
    public synchronized void begin(VmDefinition machine) {
        if (!uses(machine)) {
            return;
        }
        String own = machine.id() + "/";
        for (ConfigurationProblem one : apply(Set.of(machine.id()), true)) {
            boolean its = one.port().startsWith(own)
                    || machine.hardware().adapters().stream()
                            .anyMatch(adapter -> adapter.switchName()
                                            .filter(name -> SwitchDefinition.key(name)
                                                    .equals(SwitchDefinition.key(one.network())))
                                            .isPresent()
                                    && one.port().isEmpty());
            if (its) {
                refresh();
                throw refused(one);
            }
        }
        active.merge(machine.id(), 1, Integer::sum);
    }

    @Override
    public synchronized void found(VmDefinition machine) {
        if (uses(machine)) {
            active.merge(machine.id(), 1, Integer::sum);
        }
    }

    @Override
    public void end(UUID machine) {
        Thread _ = Thread.ofVirtual().name("ports").start(() -> {
            synchronized (this) {
                boolean had = active.containsKey(machine);
                Integer left = active.computeIfPresent(machine, (_, count) -> count == 1 ? null : count - 1);
                if (had && left == null) {
                    refresh();
                }
            }
        });
    }

    private void refresh() {
        try {
            List<ConfigurationProblem> _ = apply(Set.of(), false);
        } catch (Problem e) {
            LOG.log(Level.WARNING, e.line());
        }
    }

    /**
     * The definition of a machine has changed: its ports follow, if it runs.
     *
     * @throws Problem what of it cannot be
     */
    synchronized void changed(UUID machine) {
        if (!active.containsKey(machine)) {
            return;
        }
        for (ConfigurationProblem one : apply(Set.of(), true)) {
            if (one.port().startsWith(machine + "/")) {
                throw refused(one);
            }
        }
    }

    /**
     * What the switches say of themselves now; nothing when none runs. When they should and do not, {@code unreachable} says
     * why: what has been changed holds all the same.
     */
    public JsonNode status() {
        try {
            return Json.MAPPER.valueToTree(host.runs() ? host.status() : Map.of());
        } catch (Problem e) {
            return Json.MAPPER.valueToTree(Map.of("unreachable", e.line()));
        }
    }
}
