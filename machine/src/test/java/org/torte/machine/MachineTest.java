package org.torte.machine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.time.Instant;
import java.util.Arrays;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.torte.base.ManualClock;
import org.torte.base.ManualTimers;
import org.torte.base.RandomSource;
import org.torte.base.StateContainerReader;
import org.torte.base.StateContainerWriter;
import org.torte.base.StateException;

@Timeout(60)
class MachineTest {
    private static final int PM1_CONTROL = 0x404;
    private static final int SOFT_OFF = 5 << 10 | 0x2000;
    private static final long MEMORY = 16L << 20;

    private final ManualClock clock = new ManualClock(Instant.parse("2026-11-23T12:00:00Z"));
    private final AtomicInteger loads = new AtomicInteger();
    private final BootLoader loader = target -> loads.incrementAndGet();

    private Machine machine(FakeHypervisor hypervisor, int processors) {
        return machine(hypervisor, new MachineConfiguration(MEMORY, processors), MachineListener.NONE);
    }

    private Machine machine(FakeHypervisor hypervisor, MachineConfiguration configuration, MachineListener listener) {
        return Machine.create(
                configuration, new MachineHost(hypervisor, clock, ManualTimers::new, RandomSource.seeded(1), listener));
    }

    private static MachineEnd end(Machine machine) throws Exception {
        return machine.end().get(30, TimeUnit.SECONDS);
    }

    @Test
    void aGuestPowersOffByTheAcpiRegister() throws Exception {
        FakeHypervisor hypervisor = new FakeHypervisor((processor, handler) -> {
            if (processor == 1) {
                handler.writePort(processor, PM1_CONTROL, 2, SOFT_OFF);
            }
            return false;
        });
        try (Machine machine = machine(hypervisor, 2)) {
            machine.start(loader);
            assertThat(end(machine)).isEqualTo(new MachineEnd.PoweredOff());
        }
    }

    @Test
    void theExitPortEndsTheMachineWithAStatus() throws Exception {
        FakeHypervisor hypervisor = new FakeHypervisor((processor, handler) -> {
            handler.writePort(processor, 0xf4, 4, 0x10);
            return false;
        });
        MachineConfiguration configuration = new MachineConfiguration(MEMORY, 1).withExitPort(0xf4);
        try (Machine machine = machine(hypervisor, configuration, MachineListener.NONE)) {
            machine.start(loader);
            assertThat(end(machine)).isEqualTo(new MachineEnd.Exited(0x21));
        }
    }

    @Test
    void aResetByEveryPortStartsAgainFromTheLoaderWithEmptyMemory() throws Exception {
        int[][] ways = {{0xcf9, 6}, {0x64, 0xfe}, {0x92, 1}};
        for (int[] way : ways) {
            AtomicInteger runs = new AtomicInteger();
            AtomicInteger told = new AtomicInteger();
            AtomicReference<Machine> made = new AtomicReference<>();
            FakeHypervisor hypervisor = new FakeHypervisor((processor, handler) -> {
                if (runs.getAndIncrement() == 0) {
                    made.get().memory().putInt(0x200000, 0x1234);
                    handler.writePort(processor, way[0], 1, way[1]);
                } else if (runs.get() == 3) {
                    handler.writePort(processor, PM1_CONTROL, 2, SOFT_OFF);
                }
                return false;
            });
            loads.set(0);
            MachineListener listener = new MachineListener() {
                @Override
                public void guestReset() {
                    told.incrementAndGet();
                }
            };
            try (Machine machine = machine(hypervisor, new MachineConfiguration(MEMORY, 1), listener)) {
                made.set(machine);
                machine.start(target -> {
                    loads.incrementAndGet();
                    assertThat(target.memory().getInt(0x200000)).isZero();
                    assertThat(target.memory().getLong(target.rsdp())).isEqualTo(0x2052545020445352L);
                });
                while (told.get() == 0) {
                    Thread.onSpinWait();
                }
                machine.pause();
                machine.resume();
                machine.pause();
                machine.resume();
                while (runs.get() < 3) {
                    machine.pause();
                    machine.resume();
                }
                assertThat(end(machine)).isEqualTo(new MachineEnd.PoweredOff());
            }
            assertThat(loads).hasValue(2);
            assertThat(hypervisor.resets).hasValue(1);
        }
    }

    @Test
    void turningOffWinsOverAResetThatIsUnderWay() throws Exception {
        AtomicReference<Machine> made = new AtomicReference<>();
        FakeHypervisor hypervisor = new FakeHypervisor((processor, handler) -> {
            handler.writePort(processor, 0xcf9, 1, 6);
            made.get().stop();
            return false;
        });
        try (Machine machine = machine(hypervisor, 1)) {
            made.set(machine);
            machine.start(loader);
            assertThat(end(machine)).isEqualTo(new MachineEnd.Stopped());
        }
        assertThat(loads).hasValue(1);
        assertThat(hypervisor.resets).hasValue(0);
    }

    @Test
    void aTripleFaultIsReportedWithTheRegistersOfAllProcessors() throws Exception {
        try (Machine machine = machine(new FakeHypervisor((processor, handler) -> processor == 2), 4)) {
            machine.start(loader);
            assertThat(end(machine)).isInstanceOfSatisfying(MachineEnd.Crashed.class, crashed -> {
                assertThat(crashed.report().processor()).isEqualTo(2);
                assertThat(crashed.report().states()).hasSize(4);
            });
        }
    }

    @Test
    void anErrorInTheBackEndEndsTheMachineAndNamesTheCause() throws Exception {
        IllegalStateException error = new IllegalStateException("expected by the test");
        FakeHypervisor hypervisor = new FakeHypervisor((processor, handler) -> {
            throw error;
        });
        try (Machine machine = machine(hypervisor, 1)) {
            machine.start(loader);
            assertThat(end(machine)).isEqualTo(new MachineEnd.Failed(error));
        }
    }

    @Test
    void aFailingLoaderComesOutOfStartAndTheMachineCanBeStartedAgain() throws Exception {
        try (Machine machine = machine(new FakeHypervisor((processor, handler) -> true), 1)) {
            assertThatThrownBy(() -> machine.start(target -> {
                        throw new IllegalArgumentException("no kernel");
                    }))
                    .hasMessage("no kernel");
            machine.start(loader);
            assertThat(end(machine)).isInstanceOf(MachineEnd.Crashed.class);
        }
    }

    @Test
    void timeStandsStillWhileTheMachineDoes() {
        CountDownLatch running = new CountDownLatch(1);
        FakeHypervisor hypervisor = new FakeHypervisor((processor, handler) -> {
            running.countDown();
            return false;
        });
        try (Machine machine = machine(hypervisor, 1)) {
            machine.start(loader);
            clock.advance(1_000_000_000L);
            machine.pause();
            byte[] before = save(machine);
            clock.advance(5_000_000_000L);
            assertThat(save(machine)).isEqualTo(before);
            assertThat(machine.isRunning()).isFalse();
        }
    }

    @Test
    void aLimitedProcessorStandsUntilItIsGivenTimeAndPausesAndEndsAllTheSame() throws Exception {
        AtomicInteger runs = new AtomicInteger();
        FakeHypervisor hypervisor = new FakeHypervisor((_, _) -> {
            runs.incrementAndGet();
            return false;
        });
        try (Machine machine = machine(hypervisor, 2)) {
            machine.limitProcessors(true);
            machine.start(loader);
            machine.pause();
            assertThat(runs).hasValue(0);
            machine.resume();
            machine.grantProcessorTime(10, 10);
            while (runs.get() < 2) {
                Thread.onSpinWait();
            }
            hypervisor.runTime.set(11);
            machine.pause();
            int before = runs.get();
            machine.resume();
            machine.pause();
            assertThat(runs).hasValue(before);
            machine.limitProcessors(false);
            machine.resume();
            while (runs.get() < before + 2) {
                Thread.onSpinWait();
            }
            machine.limitProcessors(true);
            machine.stop();
            assertThat(end(machine)).isEqualTo(new MachineEnd.Stopped());
        }
    }

    @Test
    void turningOffWorksFromEveryState() throws Exception {
        FakeHypervisor idle = new FakeHypervisor((processor, handler) -> false);
        try (Machine machine = machine(idle, 2)) {
            machine.stop();
            assertThat(end(machine)).isEqualTo(new MachineEnd.Stopped());
        }
        try (Machine machine = machine(idle, 2)) {
            machine.start(loader);
            machine.pause();
            machine.stop();
            assertThat(end(machine)).isEqualTo(new MachineEnd.Stopped());
        }
        try (Machine machine = machine(idle, 2)) {
            machine.start(loader);
            machine.stop();
            assertThat(end(machine)).isEqualTo(new MachineEnd.Stopped());
            machine.pause();
            machine.resume();
        }
    }

    @Test
    void aResetWithoutABootLoaderEndsTheMachine() throws Exception {
        FakeHypervisor hypervisor = new FakeHypervisor((processor, handler) -> {
            handler.writePort(processor, 0xcf9, 1, 6);
            return false;
        });
        try (Machine machine = machine(hypervisor, 1)) {
            machine.resume();
            assertThat(end(machine)).isEqualTo(new MachineEnd.ResetWithoutBootLoader());
        }
    }

    private static byte[] save(Machine machine) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        StateContainerWriter writer =
                new StateContainerWriter(out, machine.configuration().toText());
        machine.save(writer);
        writer.ram(machine.memory());
        writer.finish();
        return out.toByteArray();
    }

    private Machine restore(byte[] saved) throws IOException {
        StateContainerReader reader = new StateContainerReader(new ByteArrayInputStream(saved));
        MachineConfiguration configuration = MachineConfiguration.parse(reader.definition());
        Machine machine =
                machine(new FakeHypervisor((processor, handler) -> false), configuration, MachineListener.NONE);
        try {
            reader.readRest(machine.memory());
            machine.restore(reader);
            reader.requireAllRead();
            return machine;
        } catch (RuntimeException e) {
            machine.close();
            throw e;
        }
    }

    /** Noise on every port and register leaves devices in the oddest states there are. */
    private byte[] savedAfterNoise(long seed, int processors) throws InterruptedException {
        CountDownLatch done = new CountDownLatch(1);
        FakeHypervisor hypervisor = new FakeHypervisor((processor, handler) -> {
            if (processor == 0 && done.getCount() != 0) {
                Noise.harmless(handler, RandomSource.seeded(seed), 20_000, clock);
                done.countDown();
            }
            return false;
        });
        try (Machine machine = machine(hypervisor, processors)) {
            machine.start(target -> {});
            assertThat(done.await(30, TimeUnit.SECONDS)).isTrue();
            machine.pause();
            return save(machine);
        }
    }

    @Test
    void aRestoredMachineSavesAsTheSameBytes() throws Exception {
        for (long seed = 1; seed <= 10; seed++) {
            byte[] saved = savedAfterNoise(seed, 2);
            clock.advance(1_234_567_891L);
            try (Machine machine = restore(saved)) {
                assertThat(Arrays.mismatch(save(machine), saved))
                        .as("seed %d", seed)
                        .isEqualTo(-1);
            }
        }
    }

    /** Devices in odd states: the first version, the second with the synthetic interrupt controllers, the third with run times. */
    @ParameterizedTest
    @ValueSource(strings = {"machine-1.torte", "machine-2.torte", "machine-3.torte"})
    void everyVersionOfSavedStateStillLoads(String name) throws Exception {
        try (InputStream golden = MachineTest.class.getResourceAsStream(name)) {
            assertThat(golden).isNotNull();
            try (Machine machine = restore(golden.readAllBytes())) {
                assertThat(machine.configuration().processors()).isEqualTo(2);
            }
        }
    }

    @Test
    void aStateWithDamagedValuesBehindGoodChecksumsNeverThrowsAnythingElse() throws Exception {
        byte[] saved = savedAfterNoise(3, 1);
        for (long seed = 1; seed <= 300; seed++) {
            RandomSource random = RandomSource.seeded(seed);
            byte[] damaged = Noise.damageBodies(saved, random);
            try (Machine machine = restore(damaged)) {
                machine.resume();
                clock.advance(3_000_000_000L);
                machine.pause();
                save(machine);
            } catch (StateException e) {
                assertThat(e).as("seed %d", seed).hasMessageContaining("saved");
            }
        }
    }

    @Test
    void aConfigurationSurvivesItsTextAndNonsenseIsRefused() {
        MachineConfiguration configuration = new MachineConfiguration(MEMORY, 3).withExitPort(0xf4);
        assertThat(MachineConfiguration.parse(configuration.toText())).isEqualTo(configuration);
        String text = configuration.toText();
        for (String wrong : new String[] {
            "",
            "memory",
            text + "colour = blue\n",
            text.replace("processors = 3", "processors = 65"),
            text.replace("x86-64-v2", "x86-64-v9"),
            text.replace("16777216", "16777217"),
            text.replace("16777216", "many")
        }) {
            assertThatThrownBy(() -> MachineConfiguration.parse(wrong)).isInstanceOf(StateException.class);
        }
    }
}
