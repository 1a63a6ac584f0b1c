package org.torte.hypervisor.software;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Random;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.torte.base.GuestMemory;

/** Locked operations at every place and width, with the host's instructions and without. */
class AtomicsTest {
    private static final int PROCESSORS = 3;
    private static final int LINE = 0x2fc0, PAGE_END = 0x3ff8;

    private GuestMemory memory = GuestMemory.allocate(4096);
    private List<Cpu> cpus = List.of();
    private Rendezvous rendezvous = new Rendezvous();
    private @Nullable PhysicalMemory physical;

    /** Whether the host's instructions are used. */
    enum Kind {
        HOST,
        STANDING_STILL;

        @Nullable
        LockedInstructions instructions() {
            return this == HOST ? LockedInstructions.ofHost() : null;
        }
    }

    static Stream<Kind> kinds() {
        return Stream.of(Kind.values());
    }

    @BeforeEach
    void makeProcessors() {
        memory.close();
        memory = GuestMemory.allocate(1 << 20);
        InterruptRouter router = new InterruptRouter();
        PhysicalMemory ram = new PhysicalMemory(memory, 40, new NoDevices(), router.ioApic());
        cpus = new ArrayList<>();
        for (int i = 0; i < PROCESSORS; i++) {
            cpus.add(new Cpu(i, ram, router, new ManualTimers(), 1_000_000_000));
        }
        physical = ram;
        rendezvous = new Rendezvous();
        rendezvous.connect(cpus.toArray(Cpu[]::new));
    }

    @AfterEach
    void free() {
        memory.close();
    }

    private Atomics atomics(Cpu cpu, Kind kind) {
        assumeTrue(kind != Kind.HOST || LockedInstructions.ofHost() != null, "this host has no CMPXCHG16B for us");
        return new Atomics(cpu, Objects.requireNonNull(physical), rendezvous, kind.instructions());
    }

    @ParameterizedTest
    @MethodSource("kinds")
    void anUpdateChangesItsBytesAndNoOthers(Kind kind) {
        long seed = 20261123;
        Random random = new Random(seed);
        Cpu cpu = cpus.getFirst();
        Atomics atomics = atomics(cpu, kind);
        rendezvous.enter();
        for (int i = 0; i < 2000; i++) {
            int size = 1 << random.nextInt(4);
            long address = (random.nextBoolean() ? LINE : PAGE_END) + random.nextInt(64);
            byte[] before = new byte[32];
            random.nextBytes(before);
            memory.write(address - 8, before, 0, 32);
            long operand = random.nextLong();
            long old = atomics.update(address, size, value -> value + operand);
            byte[] expected = before.clone();
            long was = 0;
            for (int b = size - 1; b >= 0; b--) {
                was = was << 8 | before[8 + b] & 0xff;
            }
            for (int b = 0; b < size; b++) {
                expected[8 + b] = (byte) (was + operand >>> 8 * b);
            }
            byte[] after = new byte[32];
            memory.read(address - 8, after, 0, 32);
            String place = "seed %d, try %d: %d bytes at %x".formatted(seed, i, size, address);
            assertThat(after).as(place).isEqualTo(expected);
            assertThat(old).as(place).isEqualTo(was);
        }
        rendezvous.leave();
    }

    @Test
    void whatOthersFlushWhileTheyAreBroughtToStandIsLocatedAnew() throws InterruptedException {
        Cpu cpu = cpus.getFirst();
        memory.putInt(0x8000, 0x9000 | 3);
        cpu.cr0 = Cpu.CR0_PE | Cpu.CR0_PG;
        cpu.cr3 = 0x8000;
        Atomics atomics = atomics(cpu, Kind.STANDING_STILL);
        long[] values = {0, 0};
        List<Runnable> operations = List.of(
                () -> atomics.update(0x103e, 4, value -> value + 0x0101_0101),
                () -> atomics.compareAndSet16(0x1050, true, values, 7, 9));
        for (Runnable operation : operations) {
            memory.putInt(0x9004, 0xa000 | 3);
            cpu.mmu.flush();
            rendezvous.enter();
            Thread thread = Thread.ofPlatform().start(() -> {
                rendezvous.enter();
                operation.run();
                rendezvous.leave();
            });
            Cpu other = cpus.getLast();
            while (other.events.clear(Events.RENDEZVOUS) == 0) {
                Thread.onSpinWait();
            }
            memory.putInt(0x9004, 0xb000 | 3);
            cpu.mmu.flush();
            rendezvous.leave();
            thread.join();
        }
        assertThat(memory.getInt(0xa03e)).isZero();
        assertThat(memory.getInt(0xb03e)).isEqualTo(0x0101_0101);
        assertThat(memory.getLong(0xa050)).isZero();
        assertThat(memory.getLong(0xb058)).isEqualTo(9);
    }

    @ParameterizedTest
    @MethodSource("kinds")
    void noUpdateIsLostWhereverItLies(Kind kind) throws InterruptedException {
        int[] addresses = {0x4000, 0x4043, 0x4086, 0x40fd, 0x4ffe};
        int rounds = 400;
        List<Thread> threads = new ArrayList<>();
        for (Cpu cpu : cpus) {
            Atomics atomics = atomics(cpu, kind);
            threads.add(Thread.ofPlatform().start(() -> {
                rendezvous.enter();
                for (int i = 0; i < rounds; i++) {
                    for (int address : addresses) {
                        atomics.update(address, 4, value -> value + 0x01010101);
                    }
                    long[] values = {i, -i};
                    while (!atomics.compareAndSet16(0x4800, true, values, values[0] + 1, values[1] - 1)) {
                        pauseIfAsked(cpu);
                    }
                    pauseIfAsked(cpu);
                }
                rendezvous.leave();
            }));
        }
        for (Thread thread : threads) {
            thread.join();
        }
        int sum = PROCESSORS * rounds * 0x01010101;
        for (int address : addresses) {
            assertThat(memory.getInt(address)).as("%x", address).isEqualTo(sum);
        }
        assertThat(memory.getLong(0x4800)).isEqualTo((long) PROCESSORS * rounds);
        assertThat(memory.getLong(0x4808)).isEqualTo((long) -PROCESSORS * rounds);
    }

    private void pauseIfAsked(Cpu cpu) {
        if (cpu.events.clear(Events.RENDEZVOUS) != 0) {
            rendezvous.pause();
        }
    }
}
