package org.torte.network.process;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.torte.base.Clock;
import org.torte.base.RandomSource;
import org.torte.base.TimerThread;
import org.torte.base.net.FrameBatch;
import org.torte.base.net.MacAddress;
import org.torte.network.NetworkException;
import org.torte.network.RawStation;
import org.torte.network.posix.Bell;
import org.torte.network.posix.Posix;
import org.torte.network.posix.SharedMemory;
import org.torte.network.posix.UnixSocket;
import org.torte.network.process.PortOptions.Mirroring;
import org.torte.network.ring.Ring;

/** Stations in this process at switches that could be in another one, and once are. */
class SwitchProcessTest {
    private static final Duration LIMIT = Duration.ofSeconds(60);
    private static final long SEED = Long.getLong("torte.seed", 1);

    @TempDir
    Path folder;

    private final TimerThread timers = new TimerThread(Clock.system(), "timers");
    private final List<SwitchLink> links = new ArrayList<>();
    private final List<String> log = new ArrayList<>();
    private final List<SwitchDefinition> switches = new ArrayList<>(List.of(
            new SwitchDefinition("lab", SwitchDefinition.Type.PRIVATE, "", 1500),
            new SwitchDefinition("big", SwitchDefinition.Type.PRIVATE, "", 9000)));
    private @Nullable SwitchServer server;

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

    private static void await(String what, BooleanSupplier condition) {
        long until = System.nanoTime() + LIMIT.toNanos();
        while (!condition.getAsBoolean()) {
            assertThat(System.nanoTime()).as(what).isLessThan(until);
            try {
                Thread.sleep(2);
            } catch (InterruptedException e) {
                throw new AssertionError(e);
            }
        }
    }

    private static PortDefinition port(String id, String network, long address) {
        return port(id, network, address, PortOptions.STANDARD);
    }

    private static PortDefinition port(String id, String network, long address, PortOptions options) {
        return new PortDefinition(id, network, id, new MacAddress(address), options, List.of());
    }

    private static PortOptions options(String vlan, Mirroring mirroring, String... rules) {
        return PortOptions.parse(vlan, false, false, false, List.of(rules), 0, mirroring.text());
    }

    private void write(PortDefinition... ports) {
        try {
            Files.write(SwitchServer.configuration(folder), new NetworkConfiguration(switches, List.of(ports)).text());
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    private void serve() {
        server = SwitchServer.open(folder, timers, RandomSource.secure(), line -> {
            synchronized (log) {
                log.add(line);
            }
        });
    }

    private List<ConfigurationProblem> reload() {
        try (SwitchClient client = SwitchClient.connect(SwitchServer.socket(folder))) {
            return client.reload();
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    private Map<?, ?> status(String id) {
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

    private SwitchLink link(String id) {
        SwitchLink link = SwitchLink.open(new SwitchStarter(folder, List.of()), id);
        links.add(link);
        return link;
    }

    private RawStation station(String id, long address) {
        SwitchLink link = link(id);
        RawStation station = new RawStation(address).plugInto(link);
        await(id + " is up", () -> link.link().up());
        return station;
    }

    private static int got(RawStation station) {
        synchronized (station) {
            return station.got.size();
        }
    }

    private static void forget(RawStation station) {
        synchronized (station) {
            station.got.clear();
        }
    }

    @Test
    void framesTravelBetweenTheRingsWithAllThatIsKnownOfThem() {
        write(port("a", "big", 0x02_0000_0000_01L), port("b", "big", 0x02_0000_0000_02L));
        serve();
        RawStation a = station("a", 0x02_0000_0000_01L);
        RawStation b = station("b", 0x02_0000_0000_02L);
        assertThat(links.getFirst().link().mtu()).isEqualTo(9000);

        byte[] large = java.util.Arrays.copyOf(a.frame(b, 7), 60_000);
        FrameBatch batch = new FrameBatch(4, 128 << 10);
        int at = batch.append(large.length);
        MemorySegment.copy(large, 0, batch.bytes(), JAVA_BYTE, at, large.length);
        batch.describe(0, FrameBatch.TRANSPORT_CHECKSUM_NEEDED, 1448, FrameBatch.NO_VLAN);
        assertThat(links.getFirst().send(batch, 0)).isEqualTo(1);
        await("the large send", () -> got(b) == 1);
        RawStation.Frame frame = b.got.getFirst();
        assertThat(frame.bytes()).isEqualTo(large);
        assertThat(frame.segmentSize()).isEqualTo(1448);
        assertThat(frame.flags()).isEqualTo(FrameBatch.TRANSPORT_CHECKSUM_NEEDED);

        assertThat(b.send(b.frame(a, 1), b.frame(a, 2))).isEqualTo(2);
        await("the answer", () -> got(a) == 2);
        Map<?, ?> shown = status("b");
        assertThat(shown.get("connected")).isEqualTo(true);
        assertThat(shown.get("framesSent")).isEqualTo(2);
        assertThat(shown.get("framesReceived")).isEqualTo(1);
    }

    @Test
    void whoIsAtOneSwitchDoesNotHearAnother() {
        write(port("a", "lab", 1L << 41 | 1), port("b", "lab", 1L << 41 | 2), port("c", "big", 1L << 41 | 3));
        serve();
        RawStation a = station("a", 1L << 41 | 1);
        RawStation b = station("b", 1L << 41 | 2);
        RawStation c = station("c", 1L << 41 | 3);
        a.send(a.frame(MacAddress.BROADCAST, 0x88b5, 1), a.frame(b, 2));
        await("both frames", () -> got(b) == 2);
        assertThat(got(c)).isZero();

        // The port moves to the other switch while its machine runs.
        write(port("a", "big", 1L << 41 | 1), port("b", "lab", 1L << 41 | 2), port("c", "big", 1L << 41 | 3));
        assertThat(reload()).isEmpty();
        await("the other switch's MTU", () -> links.getFirst().link().mtu() == 9000);
        a.send(a.frame(MacAddress.BROADCAST, 0x88b5, 3));
        await("it is heard there", () -> got(c) == 1);
        assertThat(got(b)).isEqualTo(2);
    }

    @Test
    void aReceiverThatTakesNothingHoldsUpNobodyAndGetsTheRestLater() {
        write(port("a", "lab", 1L << 41 | 1), port("b", "lab", 1L << 41 | 2), port("c", "lab", 1L << 41 | 3));
        serve();
        RawStation a = station("a", 1L << 41 | 1);
        RawStation b = station("b", 1L << 41 | 2);
        RawStation c = station("c", 1L << 41 | 3);
        synchronized (b) {
            b.room = 0;
        }
        byte[] toB = java.util.Arrays.copyOf(a.frame(b, 1), 1500);
        byte[] toC = java.util.Arrays.copyOf(a.frame(c, 1), 1500);
        // More than the rings and the queue of b's port hold.
        int pairs = 3000;
        for (int i = 0; i < pairs; i++) {
            await("a can send", () -> a.send(toB) == 1);
            await("a can send", () -> a.send(toC) == 1);
        }
        await("c has all", () -> got(c) == pairs);
        assertThat(got(b)).isZero();
        synchronized (b) {
            b.room = Integer.MAX_VALUE;
        }
        links.get(1).roomAvailable();
        await("b gets what has waited", () -> got(b) > 1000);
        assertThat(got(b)).as("and not what found no room").isLessThan(pairs);
    }

    @Test
    void vlansRulesAndMirrorsHoldAndChangeWhileMachinesRun() {
        write(
                port("a", "lab", 1L << 41 | 1, options("10", Mirroring.SOURCE)),
                port("b", "lab", 1L << 41 | 2, options("10", Mirroring.NONE)),
                port("c", "lab", 1L << 41 | 3, options("20", Mirroring.DESTINATION)));
        serve();
        RawStation a = station("a", 1L << 41 | 1);
        RawStation b = station("b", 1L << 41 | 2);
        RawStation c = station("c", 1L << 41 | 3);
        a.send(a.frame(b, 1));
        await("b is in the same VLAN", () -> got(b) == 1);
        await("c is shown it", () -> got(c) == 1);
        forget(c);

        write(
                port("a", "lab", 1L << 41 | 1, options("10", Mirroring.NONE, "deny out remote-mac 02:00:00:00:00:02")),
                port("b", "lab", 1L << 41 | 2, options("10", Mirroring.NONE)),
                port("c", "lab", 1L << 41 | 3, options("trunk 5,10-12", Mirroring.NONE)));
        assertThat(reload()).isEmpty();
        a.send(a.frame(b, 2), a.frame(c, 3));
        await("c is in that VLAN now", () -> got(c) == 1);
        assertThat(c.got.getFirst().vlan()).isEqualTo(10);
        await("the drop is counted", () -> Map.of("acl", 1).equals(status("a").get("sentDropped")));
        assertThat(got(b)).isEqualTo(1);
    }

    @Test
    void aPortIsFreeAsSoonAsItsMachineIsGoneAndTheNewerOfTwoHasIt() {
        write(port("a", "lab", 1L << 41 | 1), port("b", "lab", 1L << 41 | 2));
        serve();
        RawStation a = station("a", 1L << 41 | 1);
        RawStation first = station("b", 1L << 41 | 2);
        a.send(a.frame(first, 1));
        await("the first one is there", () -> got(first) == 1);
        links.removeLast().close();
        await("its port is free", () -> Boolean.FALSE.equals(status("b").get("connected")));

        RawStation second = station("b", 1L << 41 | 2);
        a.send(a.frame(second, 2));
        await("the second one has the port", () -> got(second) == 1);
        RawStation third = new RawStation(1L << 41 | 2).plugInto(link("b"));
        await("the third one has taken it", () -> {
            a.send(a.frame(third, 3));
            return got(third) > 0 || got(second) > 50;
        });
    }

    @Test
    void aNewServerIsFoundAndTheLinkStaysUp() {
        write(port("a", "lab", 1L << 41 | 1), port("b", "lab", 1L << 41 | 2));
        serve();
        RawStation a = station("a", 1L << 41 | 1);
        RawStation b = station("b", 1L << 41 | 2);
        for (int round = 1; round <= 3; round++) {
            Objects.requireNonNull(server).close();
            a.send(a.frame(b, 1));
            serve();
            forget(b);
            await("frames travel again", () -> {
                a.send(a.frame(b, 2));
                return got(b) > 0;
            });
        }
        assertThat(links).allMatch(link -> link.link().up());
    }

    @Test
    void aKilledProcessIsStartedAgainByWhoeverMissesIt() throws Exception {
        write(port("a", "lab", 1L << 41 | 1), port("b", "lab", 1L << 41 | 2));
        SwitchStarter starter = new SwitchStarter(
                folder,
                List.of(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "--enable-native-access=ALL-UNNAMED",
                        "-XX:TieredStopAtLevel=1",
                        "-cp",
                        System.getProperty("java.class.path"),
                        SwitchMain.class.getName(),
                        folder.toString()));
        SwitchLink one = SwitchLink.open(starter, "a");
        SwitchLink two = SwitchLink.open(starter, "b");
        links.addAll(List.of(one, two));
        RawStation a = new RawStation(1L << 41 | 1).plugInto(one);
        RawStation b = new RawStation(1L << 41 | 2).plugInto(two);
        try {
            for (int round = 0; round < 2; round++) {
                forget(b);
                await("frames travel", () -> {
                    a.send(a.frame(b, 1));
                    return got(b) > 0;
                });
                List<ProcessHandle> processes = switchProcesses();
                assertThat(processes).hasSize(1);
                assertThat(processes.getFirst().destroyForcibly()).isTrue();
                processes.getFirst().onExit().join();
            }
            forget(b);
            await("frames travel again", () -> {
                a.send(a.frame(b, 2));
                return got(b) > 0;
            });
        } finally {
            links.forEach(SwitchLink::close);
            links.clear();
            switchProcesses().forEach(ProcessHandle::destroyForcibly);
        }
    }

    private List<ProcessHandle> switchProcesses() {
        return ProcessHandle.current()
                .children()
                .filter(child ->
                        child.info().arguments().map(List::of).orElse(List.of()).contains(folder.toString()))
                .filter(ProcessHandle::isAlive)
                .toList();
    }

    @Test
    void garbageInTheRingEndsTheConnectionAndHarmsNobodyElse() throws IOException {
        System.out.println("torte.seed=" + SEED);
        Random random = new Random(SEED);
        write(port("a", "lab", 1L << 41 | 1), port("b", "lab", 1L << 41 | 2), port("evil", "lab", 1L << 41 | 3));
        serve();
        RawStation a = station("a", 1L << 41 | 1);
        RawStation b = station("b", 1L << 41 | 2);
        byte[] garbage = new byte[(int) PortSession.MEMORY];
        for (int round = 0; round < 40; round++) {
            try (UnixSocket socket = UnixSocket.connect(SwitchServer.socket(folder))) {
                Messages messages = new Messages(socket, 1 << 20);
                messages.await(LIMIT).discard();
                messages.say(Map.of("id", 1, "method", "connect", "port", "evil"));
                Messages.Said answer = messages.await(LIMIT);
                try (SharedMemory memory = SharedMemory.open(answer.descriptors()[0], PortSession.MEMORY);
                        Bell there = new Bell(answer.descriptors()[1])) {
                    random.nextBytes(garbage);
                    MemorySegment.copy(garbage, 0, memory.segment(), JAVA_BYTE, 0, garbage.length);
                    if (round % 2 == 0) {
                        memory.segment().set(JAVA_LONG, 0, 16L * random.nextInt(1 << 16));
                        memory.segment().set(JAVA_LONG, Ring.SIZE + 64, 16L * random.nextInt(1 << 16));
                    }
                    there.ring();
                    a.send(a.frame(MacAddress.BROADCAST, 0x88b5, round));
                    int before = round;
                    await("the connection ends", () -> {
                        try {
                            Messages.Said said = messages.hear();
                            there.ring();
                            a.send(a.frame(new RawStation(1L << 41 | 3), before));
                            return said != null && said.text().isEmpty();
                        } catch (IOException e) {
                            return true;
                        }
                    });
                }
            }
        }
        forget(b);
        a.send(a.frame(b, 1));
        await("the others go on", () -> got(b) > 0);
        synchronized (log) {
            assertThat(log).anyMatch(line -> line.startsWith("port evil: its connection was ended"));
        }
    }

    /** Becomes a port as a machine would; what the answer carries is the caller's. */
    private static Messages.Said connect(Messages messages, String id) throws IOException {
        messages.await(LIMIT).discard();
        messages.say(Map.of("id", 1, "method", "connect", "port", id));
        return messages.await(LIMIT);
    }

    @Test
    void whoMakesHisBellBlockingAndFillsItHoldsUpNobody() throws Throwable {
        write(port("a", "lab", 1L << 41 | 1), port("b", "lab", 1L << 41 | 2), port("evil", "lab", 1L << 41 | 3));
        serve();
        RawStation a = station("a", 1L << 41 | 1);
        RawStation b = station("b", 1L << 41 | 2);
        try (UnixSocket socket = UnixSocket.connect(SwitchServer.socket(folder));
                Arena arena = Arena.ofConfined()) {
            Messages.Said answer = connect(new Messages(socket, 1 << 20), "evil");
            SharedMemory memory = SharedMemory.open(answer.descriptors()[0], PortSession.MEMORY);
            Posix.Errno errno = new Posix.Errno(arena);
            MemorySegment most = arena.allocateFrom(JAVA_LONG, -2L);
            for (int i = 1; i < answer.descriptors().length; i++) {
                int bell = answer.descriptors()[i];
                fileFlags(bell, Posix.O_NONBLOCK);
                while (Posix.write(errno, bell, most, Long.BYTES) > 0) {
                    // A counter is at its end then, and a queue is full.
                }
                fileFlags(bell, 0);
            }
            for (int round = 0; round < 300; round++) {
                // It says that it sleeps, and wants to be woken for each frame.
                memory.segment().set(JAVA_INT, Ring.SIZE + 128, 1);
                int before = got(b);
                a.send(a.frame(MacAddress.BROADCAST, 0x88b5, round));
                await("the others go on", () -> got(b) > before);
            }
            memory.close();
            for (int i = 1; i < answer.descriptors().length; i++) {
                Posix.close(answer.descriptors()[i]);
            }
        }
    }

    private static void fileFlags(int descriptor, int flags) throws Throwable {
        MethodHandle fcntl = Linker.nativeLinker()
                .downcallHandle(
                        Linker.nativeLinker().defaultLookup().findOrThrow("fcntl"),
                        FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_INT, JAVA_INT),
                        Linker.Option.firstVariadicArg(2));
        assertThat((int) fcntl.invokeExact(descriptor, 4, flags)).isZero();
    }

    @Test
    void whoClosesHisBellIsNoPortAnyMore() throws IOException {
        write(port("evil", "lab", 1L << 41 | 3));
        serve();
        try (UnixSocket socket = UnixSocket.connect(SwitchServer.socket(folder))) {
            Messages.Said answer = connect(new Messages(socket, 1 << 20), "evil");
            await("he is there", () -> Boolean.TRUE.equals(status("evil").get("connected")));
            for (int i = 1; i < answer.descriptors().length; i++) {
                Posix.close(answer.descriptors()[i]);
            }
            // The thread of his port would find his bell at its end again and again.
            await("he is not", () -> Boolean.FALSE.equals(status("evil").get("connected")));
            Posix.close(answer.descriptors()[0]);
        }
    }

    @Test
    void wrongRequestsEndTheConversationOnly() throws IOException {
        write(port("a", "lab", 1L << 41 | 1));
        serve();
        List<String> wrong = List.of("", "{", "[]", "{\"method\":1}", "{\"method\":\"connect\"}", "{\"method\":\"x\"}");
        for (String text : wrong) {
            try (UnixSocket socket = UnixSocket.connect(SwitchServer.socket(folder))) {
                Messages messages = new Messages(socket, 1 << 20);
                messages.await(LIMIT).discard();
                socket.send(("\0" + text).getBytes(StandardCharsets.UTF_8));
                if (text.contains("x")) {
                    assertThat(messages.await(LIMIT).text()).contains("there is no method x");
                } else if (text.contains("connect")) {
                    assertThat(messages.await(LIMIT).text()).contains("is missing or wrong");
                } else {
                    assertThatThrownBy(() -> messages.await(LIMIT)).hasMessageContaining("gone");
                }
            }
        }
        // A message that never ends.
        try (UnixSocket socket = UnixSocket.connect(SwitchServer.socket(folder))) {
            Messages messages = new Messages(socket, 1 << 20);
            messages.await(LIMIT).discard();
            byte[] more = new byte[UnixSocket.MAX_MESSAGE];
            more[0] = 1;
            await("it is cut off", () -> {
                try {
                    boolean _ = socket.send(more);
                    return false;
                } catch (IOException e) {
                    return true;
                }
            });
        }
        assertThat(station("a", 1L << 41 | 1)).isNotNull();
    }

    @Test
    void theSocketIsItsOwnersAndTheFolderHasOneProcess() throws IOException {
        write();
        serve();
        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(SwitchServer.socket(folder))))
                .isEqualTo("rw-------");
        assertThatThrownBy(() -> SwitchServer.open(folder, timers, RandomSource.secure(), _ -> {}))
                .isInstanceOf(NetworkException.class)
                .hasMessageContaining("another process has the switches");
    }

    @Test
    void whatCannotBeIsToldAndTheRestIs() {
        write(
                port("a", "lab", 1L << 41 | 1),
                port("b", "nowhere", 1L << 41 | 2),
                new PortDefinition(
                        "c",
                        "lab",
                        "c",
                        new MacAddress(1L << 41 | 3),
                        PortOptions.STANDARD,
                        List.of(org.torte.network.host.PortForward.parse("2222:22"))));
        serve();
        List<ConfigurationProblem> problems = reload();
        assertThat(problems)
                .anySatisfy(one -> {
                    assertThat(one.port()).isEqualTo("b");
                    assertThat(one.message()).isEqualTo("there is no switch nowhere");
                })
                .anySatisfy(one -> {
                    assertThat(one.port()).isEqualTo("c");
                    assertThat(one.message()).contains("switches of type nat only");
                });
        assertThat(station("a", 1L << 41 | 1)).isNotNull();
    }

    @Test
    void aConfigurationIsReadAsItWasWritten() {
        switches.add(SwitchDefinition.standard());
        PortOptions options = PortOptions.parse(
                "trunk 10,20-29 untagged 5",
                true,
                true,
                false,
                List.of(
                        "deny out tcp remote 10.0.0.0/8 remote-port 25",
                        "allow both icmpv6",
                        "deny in udp local-port 1-5"),
                100_000_000,
                "destination");
        PortDefinition whole = new PortDefinition(
                "id/net1",
                "Default",
                "web1",
                new MacAddress(1L << 41 | 7),
                options,
                List.of(org.torte.network.host.PortForward.parse("2222:22")));
        write(whole, port("x", "lab", 1L << 41 | 1));
        assertThat(NetworkConfiguration.read(SwitchServer.configuration(folder)))
                .isEqualTo(new NetworkConfiguration(switches, List.of(whole, port("x", "lab", 1L << 41 | 1))));
    }
}
