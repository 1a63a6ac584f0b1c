package org.torte.worker;

import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.TreeMap;
import java.util.UUID;
import org.jspecify.annotations.Nullable;
import org.torte.base.StateInput;
import org.torte.base.StateOutput;
import org.torte.base.net.MacAddress;
import org.torte.base.net.NetworkPort;
import org.torte.machine.Machine;
import org.torte.machine.network.SyntheticAdapter;
import org.torte.network.cable.CableEnd;
import org.torte.network.cable.CableException;
import org.torte.network.cable.LoopbackPort;
import org.torte.network.capture.TappedPort;
import org.torte.network.process.SwitchLink;
import org.torte.network.process.SwitchStarter;

/** The network adapters of a machine and the ports they are plugged into. Safe for several threads. */
final class Networks implements AutoCloseable {
    /** The section of saved state that lists them. */
    static final String SECTION = "worker.networks";

    static final int VERSION = 1;

    /** The most adapters of a machine, as many as Hyper-V has. */
    private static final int MAX_ADAPTERS = 8;

    private static final int CABLE = 1, LOOPBACK = 2, NAT = 3, UNPLUGGED = 4, SWITCH = 5;
    private static final long LOCAL = 2L << 40, GROUP = 1L << 40, BITS_48 = 0xffff_ffff_ffffL;

    /** A source, the address that it means, and what identifies the adapter to the guest. */
    private static final class Attached {
        final NetworkSource source;
        final MacAddress address;
        final UUID instance;
        /** Null when it is unplugged. */
        final @Nullable TappedPort port;
        /** Null when the port is no NAT network's. */
        final @Nullable NatPlug nat;

        /** Null until the machine is there. */
        @Nullable
        SyntheticAdapter adapter;

        /** Null while nobody wants one. */
        @Nullable
        Capture capture;

        Attached(
                NetworkSource source,
                MacAddress address,
                UUID instance,
                @Nullable NetworkPort port,
                @Nullable NatPlug nat) {
            this.source = source;
            this.address = address;
            this.instance = instance;
            this.port = port == null ? null : new TappedPort(port);
            this.nat = nat;
        }

        void close() {
            if (capture != null) {
                capture.close();
            }
            if (port != null) {
                port.close();
            }
            if (nat != null) {
                nat.close();
            }
        }
    }

    private final UUID identity;
    private final Map<Integer, Attached> adapters = new TreeMap<>();

    private Networks(UUID identity) {
        this.identity = identity;
    }

    /**
     * Opens the ports of new adapters.
     *
     * @param identity tells machines apart; addresses follow from it
     * @throws InputException when one cannot be opened; none is open then
     */
    static Networks open(List<NetworkSource> sources, UUID identity) {
        Networks networks = new Networks(identity);
        try {
            for (NetworkSource source : sources) {
                networks.open(networks.freeNumber(), source, false);
            }
            return networks;
        } catch (RuntimeException e) {
            networks.close();
            throw e;
        }
    }

    /**
     * Opens the ports of a saved machine.
     *
     * @param places what its first adapters are plugged into now, unless there are none; their addresses stay
     */
    static Networks open(StateInput state, List<NetworkSource> places) {
        Networks networks = new Networks(new UUID(state.getLong(), state.getLong()));
        try {
            int count = state.getInt();
            state.check(count >= 0 && count <= MAX_ADAPTERS, "there are " + count + " network adapters");
            for (int i = 0; i < count; i++) {
                int number = state.getInt();
                state.check(
                        number >= 0 && number < MAX_ADAPTERS && !networks.adapters.containsKey(number),
                        "there is a network adapter " + number);
                int kind = state.getInt();
                String path = state.getString();
                long address = state.getLong();
                state.check(address >>> 48 == 0, "a network adapter has the address " + Long.toHexString(address));
                int mtu = state.getInt();
                NetworkSource.Plug plug = switch (kind) {
                    case CABLE -> new NetworkSource.Cable(Path.of(path));
                    case LOOPBACK -> new NetworkSource.Loopback();
                    case NAT -> NatPlug.parse(path);
                    case UNPLUGGED -> new NetworkSource.Unplugged();
                    case SWITCH -> switchPort(path);
                    default ->
                        throw new InputException("the saved machine has a network of kind " + kind
                                + ", which needs a newer version of Torte");
                };
                NetworkSource was = new NetworkSource(plug, Optional.of(new MacAddress(address)), mtu);
                networks.open(number, number < places.size() ? was.movedTo(places.get(number)) : was, true);
            }
            return networks;
        } catch (RuntimeException e) {
            networks.close();
            throw e;
        }
    }

    private int freeNumber() {
        for (int number = 0; number < MAX_ADAPTERS; number++) {
            if (!adapters.containsKey(number)) {
                return number;
            }
        }
        throw new InputException("a machine has at most " + MAX_ADAPTERS + " network adapters; leave some out");
    }

    private Attached open(int number, NetworkSource source, boolean restored) {
        UUID instance = derived("adapter", number);
        MacAddress address = source.address().orElseGet(() -> {
            // Locally administered (IEEE 802-2014, section 8.4): the other 46 bits make collisions unlikely.
            long bits = derived("address", number).getLeastSignificantBits() & BITS_48;
            return new MacAddress(bits & ~GROUP | LOCAL);
        });
        NatPlug nat = source.plug() instanceof NetworkSource.Nat plug ? NatPlug.open(plug, address, restored) : null;
        @Nullable
        NetworkPort port = switch (source.plug()) {
            case NetworkSource.Cable(Path path) -> cable(path, source.mtu());
            case NetworkSource.Loopback() -> new LoopbackPort(source.mtu());
            case NetworkSource.Nat _ -> Objects.requireNonNull(nat).port();
            case NetworkSource.Unplugged() -> null;
            case NetworkSource.Switch(SwitchStarter process, String id) -> SwitchLink.open(process, id);
        };
        Attached attached = new Attached(source, address, instance, port, nat);
        adapters.put(number, attached);
        return attached;
    }

    private UUID derived(String what, int number) {
        return UUID.nameUUIDFromBytes((identity + "/" + what + "/" + number).getBytes(StandardCharsets.UTF_8));
    }

    /** Who has saved it knows what starts the process, and usually says so again when the machine goes on. */
    private static NetworkSource.Plug switchPort(String saved) {
        String[] lines = saved.split("\n", 2);
        if (lines.length < 2) {
            throw new InputException("the saved machine has a switch without a folder: it is damaged");
        }
        return new NetworkSource.Switch(new SwitchStarter(Path.of(lines[1]), List.of()), lines[0]);
    }

    private static NetworkPort cable(Path path, int mtu) {
        try {
            return CableEnd.open(path, mtu);
        } catch (CableException e) {
            throw new InputException(String.valueOf(e.getMessage()));
        }
    }

    synchronized boolean isEmpty() {
        return adapters.isEmpty();
    }

    /** Gives them to a machine that has not started. */
    synchronized void attach(Machine machine) {
        adapters.forEach((number, attached) -> attach(machine, number, attached));
    }

    private static void attach(Machine machine, int number, Attached attached) {
        SyntheticAdapter adapter = new SyntheticAdapter(
                machine.vmbus(),
                number,
                attached.instance,
                attached.address,
                machine.configuration().processors());
        attached.adapter = adapter;
        if (attached.port != null) {
            adapter.connect(attached.port);
        }
        machine.vmbus().attach(adapter);
    }

    /**
     * Adds an adapter to a machine in any state; gives its number.
     *
     * @throws InputException when there can be none
     */
    synchronized int add(Machine machine, NetworkSource source) {
        int number = freeNumber();
        attach(machine, number, open(number, source, false));
        return number;
    }

    /** Takes an adapter away from the machine, and gives up its port. */
    synchronized void remove(Machine machine, int number) {
        Attached removed = adapters.remove(number);
        if (removed == null) {
            throw new InputException("the machine has no network adapter " + number);
        }
        if (removed.adapter != null) {
            machine.vmbus().detach(removed.adapter);
            removed.adapter.disconnect();
        }
        removed.close();
    }

    /** The address that an adapter has been made with. */
    synchronized MacAddress address(int number) {
        return get(number).address;
    }

    private Attached get(int number) {
        Attached attached = adapters.get(number);
        if (attached == null) {
            throw new InputException("the machine has no network adapter " + number);
        }
        return attached;
    }

    /** Begins to write what goes through an adapter into a new file; {@link VirtualMachine#startCapture} says more. */
    synchronized void startCapture(int number, Path file, int length) {
        Attached attached = get(number);
        if (attached.port == null) {
            throw new InputException(
                    "network adapter " + number + " is not plugged in, so there is nothing to capture");
        }
        if (attached.capture != null) {
            throw new InputException("network adapter " + number + " is being captured into " + attached.capture.file()
                    + " already; stop that first");
        }
        Capture capture = Capture.start(file, "adapter " + number, length);
        attached.capture = capture;
        attached.port.setTap(capture.frames());
    }

    /** Ends a capture. */
    synchronized Capture.Result stopCapture(int number) {
        Attached attached = get(number);
        Capture capture = attached.capture;
        if (capture == null || attached.port == null) {
            throw new InputException("network adapter " + number + " is not being captured");
        }
        attached.port.setTap(null);
        attached.capture = null;
        return capture.close();
    }

    /** What is known of each, by number. */
    synchronized Map<Integer, NetworkState> states() {
        Map<Integer, NetworkState> states = new TreeMap<>();
        adapters.forEach((number, attached) -> states.put(
                number,
                new NetworkState(
                        attached.address,
                        attached.source.plug(),
                        attached.nat == null ? List.of() : attached.nat.addresses(attached.address),
                        Optional.ofNullable(attached.capture).map(Capture::now))));
        return states;
    }

    synchronized void save(StateOutput state) {
        state.putLong(identity.getMostSignificantBits()).putLong(identity.getLeastSignificantBits());
        state.putInt(adapters.size());
        adapters.forEach((number, attached) -> {
            NetworkSource source = attached.source;
            state.putInt(number);
            switch (source.plug()) {
                case NetworkSource.Cable(Path path) ->
                    state.putInt(CABLE).putString(path.toAbsolutePath().toString());
                case NetworkSource.Loopback() -> state.putInt(LOOPBACK).putString("");
                case NetworkSource.Unplugged() -> state.putInt(UNPLUGGED).putString("");
                case NetworkSource.Switch(SwitchStarter process, String id) ->
                    state.putInt(SWITCH).putString(id + "\n" + process.folder().toAbsolutePath());
                case NetworkSource.Nat _ ->
                    state.putInt(NAT)
                            .putString(Objects.requireNonNull(attached.nat).text());
            }
            state.putLong(attached.address.value()).putInt(source.mtu());
        });
    }

    /** Gives up their ports; the machine has ended. */
    @Override
    public synchronized void close() {
        adapters.values().forEach(Attached::close);
        adapters.clear();
    }
}
