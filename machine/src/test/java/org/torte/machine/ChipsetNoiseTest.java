package org.torte.machine;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Instant;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.torte.base.GuestMemory;
import org.torte.base.ManualClock;
import org.torte.base.ManualTimers;
import org.torte.base.RandomSource;
import org.torte.hypervisor.CpuidTable;
import org.torte.hypervisor.PartitionConfiguration;
import org.torte.machine.chipset.PowerControl;

class ChipsetNoiseTest {
    private static final PowerControl NO_POWER = new PowerControl() {
        @Override
        public void reset() {}

        @Override
        public void powerOff() {}

        @Override
        public void exit(int status) {}
    };

    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 4, 5, 6})
    void noiseOnEveryPortAndRegisterThrowsNothing(long seed) {
        ManualClock clock = new ManualClock(Instant.parse("2026-11-23T12:00:00Z"));
        ManualTimers timers = new ManualTimers(clock);
        timers.resume();
        RandomSource random = RandomSource.seeded(seed);
        try (GuestMemory memory = GuestMemory.allocate(2 << 20)) {
            MachineConfiguration configuration = new MachineConfiguration(2 << 20, 1);
            Chipset chipset =
                    new Chipset(configuration, memory, timers, NO_POWER, crash -> {}, Runnable::run, error -> {
                        throw new AssertionError("seed " + seed, error);
                    });
            chipset.connect(new FakeHypervisor((processor, handler) -> false)
                    .createPartition(new PartitionConfiguration(
                            memory, 1, new CpuidTable.Builder().build(), 1_000_000_000L, timers, random, chipset)));
            chipset.start();
            SerialPort serial = chipset.serial(0);
            for (int round = 0; round < 400; round++) {
                Noise.everywhere(chipset, random, 250, clock);
                assertThat(timers.runDue()).as("seed %d", seed).isLessThan(100);
                serial.receive(new byte[64], 0, 64);
                serial.sendBreak();
                chipset.pressPowerButton();
                if (round % 10 == 0) {
                    serial.attach(round % 20 == 0 ? value -> false : SerialEndpoint.NONE);
                }
            }
            chipset.reset();
        }
    }
}
