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
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;
import org.torte.base.Clock;
import org.torte.base.net.MacAddress;
import org.torte.network.RawStation;
import org.torte.network.posix.Bell;
import org.torte.network.posix.Posix;
import org.torte.network.posix.SharedMemory;
import org.torte.network.posix.UnixSocket;
import org.torte.network.ring.Ring;

/** Who talks to the switch process as nobody of Torte does harms himself only. */
class HostilePeersTest extends ServedSwitches {
    private static final long SEED = Long.getLong("torte.seed", 1);

    /** Becomes a port as a machine would; what the answer carries is the caller's. */
    private static Messages.Said connect(Messages messages, String id) throws IOException {
        messages.await(LIMIT).discard();
        messages.say(Map.of("id", 1, "method", "connect", "port", id));
        return messages.await(LIMIT);
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
    void whoSaysNothingForEverGivesUpHisPlace() throws IOException {
        write();
        serve(Duration.ofMillis(300));
        try (UnixSocket silent = UnixSocket.connect(SwitchServer.socket(folder))) {
            Messages messages = new Messages(silent, 1 << 20);
            messages.await(LIMIT).discard();
            assertThatThrownBy(() -> messages.await(LIMIT)).hasMessageContaining("gone");
        }
        try (UnixSocket endless = UnixSocket.connect(SwitchServer.socket(folder))) {
            // Pieces of a text, with nothing in them.
            await("he is cut off", () -> {
                try {
                    boolean _ = endless.send(new byte[] {1});
                    return false;
                } catch (IOException e) {
                    return true;
                }
            });
        }
    }

    @Test
    void idsThatNoPortHasAreRefusedAndNotLogged() throws IOException {
        write();
        serve();
        for (String id : List.of("", "x".repeat(201), "a\nswitch lab: forged", "\u001b[2J")) {
            try (UnixSocket socket = UnixSocket.connect(SwitchServer.socket(folder))) {
                Messages.Said answer = connect(new Messages(socket, 1 << 20), id);
                assertThat(answer.text()).contains("the id of a port has 1 to 200 characters");
                assertThat(answer.descriptors()).isEmpty();
            }
        }
        synchronized (log) {
            assertThat(log).isEmpty();
        }
    }

    @Test
    void theLogTakesSoMuchAMinute() {
        AtomicLong nanos = new AtomicLong();
        List<String> lines = new ArrayList<>();
        LogLimit limit = new LogLimit(lines::add, new ManualClock(nanos));
        for (int i = 0; i < 1000; i++) {
            limit.accept("line\n" + "x".repeat(100_000));
        }
        assertThat(lines).hasSize(LogLimit.LINES).allMatch(line -> line.length() < 510 && line.startsWith("line?x"));
        nanos.set(61_000_000_000L);
        limit.accept("later");
        assertThat(lines.subList(LogLimit.LINES, lines.size()))
                .containsExactly("940 lines before this one were left out", "later");
    }

    private Path poorLog() {
        return folder.resolve("poor.log");
    }

    /** The switch process of a test as a child that the kernel gives little. */
    private Process poor(String limit, String... options) throws IOException {
        List<String> command = new ArrayList<>(List.of(
                "sh",
                "-c",
                limit + "; exec \"$@\"",
                "sh",
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--enable-native-access=ALL-UNNAMED",
                "-XX:TieredStopAtLevel=1"));
        command.addAll(List.of(options));
        command.addAll(
                List.of("-cp", System.getProperty("java.class.path"), SwitchMain.class.getName(), folder.toString()));
        return new ProcessBuilder(command)
                .redirectErrorStream(true)
                .redirectOutput(poorLog().toFile())
                .start();
    }

    private void aCrowdIsServedOrSentAway(Process process, int size) throws Exception {
        List<UnixSocket> crowd = new ArrayList<>();
        try {
            await("it listens", () -> {
                assertThat(process.isAlive()).isTrue();
                try (UnixSocket _ = UnixSocket.connect(SwitchServer.socket(folder))) {
                    return true;
                } catch (IOException e) {
                    return false;
                }
            });
            for (int i = 0; i < size; i++) {
                crowd.add(UnixSocket.connect(SwitchServer.socket(folder)));
            }
            await("it has too little", () -> poorLog().toFile().length() > 0);
            // Each that goes makes room for one who waits.
            while (!crowd.isEmpty()) {
                try (UnixSocket one = crowd.removeFirst()) {
                    assertThat(new Messages(one, 1 << 20).await(LIMIT).text()).contains("torte-switch");
                } catch (IOException e) {
                    assertThat(e).hasMessageContaining("gone");
                }
            }
            await("it goes on", () -> {
                try (SwitchClient client = SwitchClient.connect(SwitchServer.socket(folder))) {
                    return client.status().get("switches") != null;
                } catch (IOException e) {
                    return false; // those who have gone are not cleared away yet
                }
            });
        } catch (AssertionError e) {
            throw new AssertionError("the switch process said: " + Files.readString(poorLog()), e);
        } finally {
            crowd.forEach(UnixSocket::close);
            process.destroyForcibly().waitFor();
        }
    }

    @Test
    void aCrowdForWhichThereAreNoDescriptorsIsServedOrSentAway() throws Exception {
        write();
        // Each takes two: the last one is left without the first or without the second.
        for (int descriptors : List.of(64, 65)) {
            aCrowdIsServedOrSentAway(poor("ulimit -n " + descriptors), 60);
        }
    }

    @Test
    void aCrowdForWhichThereAreNoThreadsIsServedOrSentAway() throws Exception {
        write();
        Process process = poor(
                "ulimit -v 6000000",
                "-Xmx64m",
                "-XX:+UseSerialGC",
                "-XX:ReservedCodeCacheSize=32m",
                "-XX:CompressedClassSpaceSize=32m",
                "-XX:ThreadStackSize=100000");
        aCrowdIsServedOrSentAway(process, 60);
    }

    private record ManualClock(AtomicLong now) implements Clock {
        @Override
        public long nanos() {
            return now.get();
        }

        @Override
        public Instant wallTime() {
            return Instant.EPOCH;
        }
    }
}
