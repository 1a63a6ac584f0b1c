package org.torte.network;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.torte.base.Clock;
import org.torte.base.RandomSource;
import org.torte.base.Timers;
import org.torte.base.net.FrameBatch;
import org.torte.base.net.MacAddress;

/**
 * A virtual Ethernet switch: a learning bridge with VLANs (IEEE 802.1Q-2018, chapter 8), which knows the addresses of the
 * adapters that are plugged in and needs to learn only others. It takes no part in spanning trees.
 *
 * <p>What makes a switch private, internal, external or a NAT is who is at its ports. Frames travel on the threads of
 * those who send them; there is no thread of its own. Safe for several threads.
 */
public final class VirtualSwitch implements AutoCloseable {
    /** The most ports. */
    public static final int MAX_PORTS = 1024;

    private final String name;
    private final Timers timers;
    private final AddressTable addresses;
    private volatile SwitchPort[] ports = {};
    private boolean closed;

    /**
     * A switch without ports.
     *
     * @param name for people
     * @param timers its time
     * @param random what keeps others from guessing how addresses are stored
     */
    public VirtualSwitch(String name, Timers timers, RandomSource random) {
        this.name = name;
        this.timers = timers;
        addresses = new AddressTable(random.nextLong());
    }

    /** Its name. */
    public String name() {
        return name;
    }

    /**
     * Makes one more port.
     *
     * @throws IllegalStateException when there are {@link #MAX_PORTS} or the switch is closed
     */
    public synchronized SwitchPort addPort(PortSettings settings) {
        if (closed || ports.length == MAX_PORTS) {
            throw new IllegalStateException(
                    closed
                            ? "the switch " + name + " is closed"
                            : "the switch " + name + " has " + MAX_PORTS + " ports");
        }
        SwitchPort port = new SwitchPort(this, settings);
        SwitchPort[] more = Arrays.copyOf(ports, ports.length + 1);
        more[ports.length] = port;
        ports = more;
        return port;
    }

    /** Its ports, oldest first. */
    public List<SwitchPort> ports() {
        return List.of(ports);
    }

    /**
     * A station that was learned.
     *
     * @param address its address
     * @param vlan its VLAN
     * @param port where it is
     */
    public record Station(MacAddress address, int vlan, SwitchPort port) {}

    /** What was learned and not forgotten; the adapters' own addresses are not in it. */
    public List<Station> stations() {
        List<Station> stations = new ArrayList<>();
        for (AddressTable.Entry entry : addresses.snapshot(clock().nanos())) {
            stations.add(new Station(new MacAddress(entry.address()), entry.vlan(), entry.port()));
        }
        return stations;
    }

    /**
     * Shows all that goes through one port to the adapter of another one, until the result is closed.
     *
     * @throws IllegalArgumentException when it is the same port or of another switch, or when mirrors would show mirrors
     */
    public synchronized Mirror mirror(SwitchPort from, SwitchPort to) {
        List<SwitchPort> all = ports();
        if (from == to || !all.contains(from) || !all.contains(to)) {
            throw new IllegalArgumentException("a mirror needs two ports of the same switch");
        }
        // Copies are made under the lock of the port that is shown: mirrors in a circle would wait for each other.
        for (SwitchPort port : all) {
            for (FrameTap tap : port.taps()) {
                if (tap instanceof Mirror other && (other.from == to || other.to == from)) {
                    throw new IllegalArgumentException("a port that shows another one cannot be shown itself");
                }
            }
        }
        Mirror mirror = new Mirror(from, to);
        from.addTap(mirror);
        return mirror;
    }

    /** Copies of the frames of one port for another one. */
    public static final class Mirror implements FrameTap, AutoCloseable {
        private final SwitchPort from;
        private final SwitchPort to;

        private Mirror(SwitchPort from, SwitchPort to) {
            this.from = from;
            this.to = to;
        }

        @Override
        public void frame(FrameBatch frames, int frame, boolean sent, int vlan) {
            to.enqueue(frames, frame, vlan);
        }

        @Override
        public void flush() {
            to.flush();
        }

        @Override
        public void close() {
            from.removeTap(this);
        }
    }

    /** Closes all ports. */
    @Override
    public void close() {
        SwitchPort[] all;
        synchronized (this) {
            closed = true;
            all = ports;
        }
        for (SwitchPort port : all) {
            port.close();
        }
    }

    Clock clock() {
        return timers.clock();
    }

    Timers timers() {
        return timers;
    }

    AddressTable addresses() {
        return addresses;
    }

    SwitchPort[] portArray() {
        return ports;
    }

    /** A port has another adapter or other settings. */
    synchronized void changed(SwitchPort port) {
        addresses.forget(port);
        addresses.know(ports);
    }

    synchronized void removed(SwitchPort port) {
        ports = Arrays.stream(ports).filter(other -> other != port).toArray(SwitchPort[]::new);
        changed(port);
    }
}
