package org.torte.network.process;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.io.TempDir;
import org.torte.base.Clock;
import org.torte.base.RandomSource;
import org.torte.base.TimerThread;
import org.torte.base.net.MacAddress;
import org.torte.network.RawStation;
import org.torte.network.process.PortOptions.Mirroring;

/** Switches as their process has them, in this one, and stations at the other end of their rings. */
abstract class ServedSwitches {
    static final Duration LIMIT = Duration.ofSeconds(60);

    @TempDir
    Path folder;

    final TimerThread timers = new TimerThread(Clock.system(), "timers");
    final List<SwitchLink> links = new ArrayList<>();
    final List<String> log = new ArrayList<>();
    final List<SwitchDefinition> switches = new ArrayList<>(List.of(
            new SwitchDefinition("lab", SwitchDefinition.Type.PRIVATE, "", 1500),
            new SwitchDefinition("big", SwitchDefinition.Type.PRIVATE, "", 9000)));
    /** Runs whenever something is to be logged. */
    Runnable beforeLog = () -> {};

    @Nullable
    SwitchServer server;

    @BeforeEach
    void start() {
        timers.resume();
    }

    @AfterEach
    void close() {
        links.forEach(SwitchLink::close);
        if (server != null) {
            server.close();
        }
        timers.close();
    }

    static void await(String what, BooleanSupplier condition) {
        await(what, condition, LIMIT);
    }

    static void await(String what, BooleanSupplier condition, Duration limit) {
        long until = System.nanoTime() + limit.toNanos();
        while (!condition.getAsBoolean()) {
            assertThat(System.nanoTime()).as(what).isLessThan(until);
            try {
                Thread.sleep(2);
            } catch (InterruptedException e) {
                throw new AssertionError(e);
            }
        }
    }

    static PortDefinition port(String id, String network, long address) {
        return port(id, network, address, PortOptions.STANDARD);
    }

    static PortDefinition port(String id, String network, long address, PortOptions options) {
        return new PortDefinition(id, network, id, new MacAddress(address), options, List.of());
    }

    static PortOptions options(String vlan, Mirroring mirroring, String... rules) {
        return PortOptions.parse(vlan, false, false, false, List.of(rules), 0, mirroring.text());
    }

    void write(PortDefinition... ports) {
        try {
            Files.write(SwitchServer.configuration(folder), new NetworkConfiguration(switches, List.of(ports)).text());
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    void serve() {
        serve(Duration.ofSeconds(30));
    }

    /** @param silence how long a client may say nothing */
    void serve(Duration silence) {
        server = SwitchServer.open(
                folder,
                timers,
                RandomSource.secure(),
                line -> {
                    beforeLog.run();
                    synchronized (log) {
                        log.add(line);
                    }
                },
                silence);
    }

    List<ConfigurationProblem> reload() {
        try (SwitchClient client = SwitchClient.connect(SwitchServer.socket(folder))) {
            return client.reload();
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    Map<?, ?> status(String id) {
        try (SwitchClient client = SwitchClient.connect(SwitchServer.socket(folder))) {
            for (Object one : (List<?>) Objects.requireNonNull(client.status().get("ports"))) {
                if (one instanceof Map<?, ?> port && id.equals(port.get("id"))) {
                    return port;
                }
            }
            throw new AssertionError("there is no port " + id);
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    SwitchLink link(String id) {
        SwitchLink link = SwitchLink.open(new SwitchStarter(folder, List.of()), id);
        links.add(link);
        return link;
    }

    RawStation station(String id, long address) {
        SwitchLink link = link(id);
        RawStation station = new RawStation(address).plugInto(link);
        await(id + " is up", () -> link.link().up());
        return station;
    }

    static int got(RawStation station) {
        synchronized (station) {
            return station.got.size();
        }
    }

    static void forget(RawStation station) {
        synchronized (station) {
            station.got.clear();
        }
    }
}
