package org.torte.network.process;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.torte.base.RandomSource;
import org.torte.base.net.FrameBatch;
import org.torte.base.net.MacAddress;
import org.torte.network.NetworkException;
import org.torte.network.RawStation;
import org.torte.network.posix.UnixSocket;
import org.torte.network.process.PortOptions.Mirroring;

/** Stations in this process at switches that could be in another one, and once are. */
class SwitchProcessTest extends ServedSwitches {
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
            // No faster than c reads: what finds no room on its way there would be lost, too.
            int sent = i + 1;
            await("c is not held up", () -> got(c) > sent - 200);
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

    @Test
    void aProcessThatListensNoMoreIsWaitedFor() throws Exception {
        write(port("a", "lab", 1L << 41 | 1));
        FileChannel old = FileChannel.open(folder.resolve("lock"), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
        FileLock held = old.lock();
        Thread next = Thread.ofPlatform().daemon().start(this::serve);
        await("the next process waits", () -> next.getState() == Thread.State.TIMED_WAITING || !next.isAlive());
        held.release();
        old.close();
        next.join();
        assertThat(server).isNotNull();
        assertThat(station("a", 1L << 41 | 1)).isNotNull();
    }

    @Test
    void whatIsConfiguredWhileTheProcessStartsHoldsToo() {
        write(port("x", "nowhere", 1L << 41 | 2));
        // The first problem is told after the configuration was read, and before anybody can ask for more.
        beforeLog = () -> write(port("a", "lab", 1L << 41 | 1));
        serve();
        assertThat(status("a").get("switch")).isEqualTo("lab");
    }

    @Test
    void aProcessOfAnotherTorteIsNamedAndNotStartedBeside() throws Exception {
        UnixSocket other = UnixSocket.listen(SwitchServer.socket(folder));
        Thread greeter = Thread.ofPlatform().daemon().start(() -> {
            List<UnixSocket> all = new ArrayList<>();
            while (!Thread.currentThread().isInterrupted()) {
                try {
                    UnixSocket client = other.accept();
                    if (client != null) {
                        all.add(client);
                        boolean _ = client.send("\0{\"protocol\":\"torte-switch\",\"version\":99}".getBytes(UTF_8));
                    }
                    Thread.sleep(1);
                } catch (IOException | InterruptedException e) {
                    break;
                }
            }
            all.forEach(UnixSocket::close);
        });
        Path started = folder.resolve("started");
        SwitchStarter starter = new SwitchStarter(folder, List.of("touch", started.toString()));
        assertThatThrownBy(starter::start)
                .isInstanceOf(NetworkException.class)
                .hasMessageContaining("the switch process speaks torte-switch 99");
        assertThat(started).doesNotExist();
        greeter.interrupt();
        greeter.join();
        other.close();
    }

    @Test
    void aProcessThatDoesNotStartLeavesTheLogOfAnotherAndItsOwnLastWords() throws IOException {
        Path file = folder.resolve("switch.log");
        Files.writeString(file, "an earlier one\n");
        SwitchStarter starter = new SwitchStarter(folder, List.of("sh", "-c", "echo no room >&2; exit 3"));
        assertThatThrownBy(starter::start)
                .isInstanceOf(NetworkException.class)
                .hasMessage("the switch process ended at once: no room");
        assertThat(file).hasContent("an earlier one\nno room");
        Files.write(file, new byte[2 << 20]);
        assertThatThrownBy(starter::start).hasMessageEndingWith("no room");
        assertThat(Files.size(file)).isLessThan(100);
    }

    @Test
    void aLinkThatWaitsForAMuteProcessIsClosedAtOnce() throws IOException {
        UnixSocket mute = UnixSocket.listen(SwitchServer.socket(folder));
        SwitchLink link = SwitchLink.open(new SwitchStarter(folder, List.of()), "a");
        List<UnixSocket> all = new ArrayList<>();
        await("it has connected", () -> {
            try {
                UnixSocket client = mute.accept();
                return client != null && all.add(client);
            } catch (IOException e) {
                throw new AssertionError(e);
            }
        });
        Thread closer = Thread.ofPlatform().daemon().start(link::close);
        await("it is closed long before the answer is due", () -> !closer.isAlive(), Duration.ofSeconds(20));
        all.forEach(UnixSocket::close);
        mute.close();
    }
}
