package org.torte.machine.chipset;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Instant;
import org.junit.jupiter.api.Test;
import org.torte.base.ManualClock;
import org.torte.base.ManualTimers;

class TimeDevicesTest {
    private static final long SECOND = 1_000_000_000L;

    private final ManualClock clock = new ManualClock(Instant.parse("2026-11-23T23:59:58Z"));
    private final ManualTimers timers = new ManualTimers(clock);
    private final PortBus bus = new PortBus();
    private int rises;
    private boolean level;
    private boolean off;

    TimeDevicesTest() {
        timers.resume();
    }

    private void wire(boolean high) {
        rises += high && !level ? 1 : 0;
        level = high;
    }

    private void pass(long nanos, long step) {
        for (long left = nanos; left > 0; left -= step) {
            clock.advance(Math.min(step, left));
            timers.runDue();
        }
    }

    private void timer() {
        new IntervalTimer(timers, this::wire).connect(bus);
        rises = 0;
    }

    @Test
    void rateGeneratorInterruptsAtItsFrequency() {
        timer();
        bus.write(0x43, 1, 0x34);
        bus.write(0x40, 1, 11932 & 0xff);
        bus.write(0x40, 1, 11932 >> 8);
        rises = 0;
        pass(SECOND, 100_000);
        assertThat(rises).isBetween(99, 100);
    }

    @Test
    void terminalCountInterruptsOnceAndTheCounterShowsWhatIsLeft() {
        timer();
        bus.write(0x43, 1, 0x30);
        bus.write(0x40, 1, 0xff);
        bus.write(0x40, 1, 0xff);
        clock.advance(10_000_000);
        bus.write(0x43, 1, 0x00);
        int left = bus.read(0x40, 1) | bus.read(0x40, 1) << 8;
        assertThat(left).isEqualTo(65535 - 11931);
        assertThat(level).isFalse();
        pass(SECOND, 1_000_000);
        assertThat(rises).isEqualTo(1);
    }

    @Test
    void speakerChannelCountsWhileItsGateIsOpenAndItsOutputCanBeRead() {
        timer();
        bus.write(0x61, 1, 0);
        bus.write(0x43, 1, 0xb0);
        bus.write(0x42, 1, 0xa9);
        bus.write(0x42, 1, 0x04);
        clock.advance(SECOND);
        assertThat(bus.read(0x61, 1) & 0x20).isZero();
        bus.write(0x61, 1, 1);
        clock.advance(999_000);
        assertThat(bus.read(0x61, 1) & 0x20).isZero();
        clock.advance(2_000);
        assertThat(bus.read(0x61, 1) & 0x20).isEqualTo(0x20);
    }

    @Test
    void readBackTellsModeAndOutput() {
        timer();
        bus.write(0x43, 1, 0x36);
        bus.write(0x40, 1, 0);
        bus.write(0x40, 1, 0);
        bus.write(0x43, 1, 0xe2);
        assertThat(bus.read(0x40, 1)).isEqualTo(0xb6);
        clock.advance(30_000_000);
        bus.write(0x43, 1, 0xe2);
        assertThat(bus.read(0x40, 1)).as("second half of the square wave").isEqualTo(0x36);
    }

    @Test
    void aHaltedHostLosesTicksInsteadOfSendingThemAtOnce() {
        timer();
        bus.write(0x43, 1, 0x34);
        bus.write(0x40, 1, 100);
        bus.write(0x40, 1, 0);
        rises = 0;
        clock.advance(10 * SECOND);
        timers.runDue();
        assertThat(rises).isLessThanOrEqualTo(1);
    }

    private int cmos(int index) {
        bus.write(0x70, 1, index);
        return bus.read(0x71, 1);
    }

    private void cmos(int index, int value) {
        bus.write(0x70, 1, index);
        bus.write(0x71, 1, value);
    }

    private void realTimeClock() {
        bus.add(RealTimeClock.BASE, RealTimeClock.PORTS, new RealTimeClock(timers, this::wire, 512L << 20));
    }

    @Test
    void theClockShowsTheWallTimeInDecimalDigitsAndRollsOver() {
        realTimeClock();
        clock.advance(2 * SECOND);
        assertThat(cmos(0)).isZero();
        assertThat(cmos(4)).isZero();
        assertThat(cmos(7)).isEqualTo(0x24);
        assertThat(cmos(8)).isEqualTo(0x11);
        assertThat(cmos(9)).isEqualTo(0x26);
        assertThat(cmos(0x32)).isEqualTo(0x20);
        assertThat(cmos(6)).as("Tuesday").isEqualTo(3);
        assertThat(cmos(13)).isEqualTo(0x80);
    }

    @Test
    void theGuestSetsTheTimeInBinaryWithTwelveHours() {
        realTimeClock();
        cmos(11, 0x84);
        cmos(0, 30);
        cmos(2, 59);
        cmos(4, 0x80 | 11);
        cmos(7, 31);
        cmos(8, 12);
        cmos(9, 99);
        cmos(0x32, 19);
        cmos(11, 0x04);
        clock.advance(30 * SECOND);
        assertThat(cmos(9)).isZero();
        assertThat(cmos(0x32)).isEqualTo(20);
        assertThat(cmos(4)).as("midnight").isEqualTo(12);
    }

    @Test
    void alarmUpdateAndPeriodicInterruptsCome() {
        realTimeClock();
        cmos(1, 0);
        cmos(3, 0xc0);
        cmos(5, 0xc0);
        cmos(11, 0x22);
        pass(SECOND + SECOND / 2, 10_000_000);
        assertThat(rises).isZero();
        pass(SECOND, 10_000_000);
        assertThat(rises).isEqualTo(1);
        assertThat(cmos(12) & 0xa0).isEqualTo(0xa0);
        assertThat(level).isFalse();
        cmos(11, 0x12);
        pass(SECOND, 10_000_000);
        assertThat(cmos(12) & 0x90).isEqualTo(0x90);
        rises = 0;
        cmos(11, 0x42);
        for (int i = 0; i < 1024; i++) {
            pass(SECOND / 1024 + 1, SECOND);
            cmos(12);
        }
        assertThat(rises).isBetween(1000, 1026);
    }

    @Test
    void theUpdateShowsJustBeforeTheNextSecond() {
        realTimeClock();
        assertThat(cmos(10) & 0x80).isZero();
        clock.advance(SECOND - 1_000_000);
        assertThat(cmos(10) & 0x80).isEqualTo(0x80);
    }

    private PowerManagement powerManagement() {
        PowerManagement power = new PowerManagement(timers, this::wire, new PowerControl() {
            @Override
            public void reset() {}

            @Override
            public void powerOff() {
                off = true;
            }

            @Override
            public void exit(int status) {}
        });
        bus.add(PowerManagement.BASE, PowerManagement.PORTS, power);
        return power;
    }

    @Test
    void thePowerManagementTimerRunsAtItsFrequencyAndWraps() {
        powerManagement();
        int start = bus.read(0x408, 4);
        clock.advance(SECOND);
        assertThat(bus.read(0x408, 4) - start).isEqualTo(3_579_545);
        clock.advance(1200 * SECOND);
        assertThat(bus.read(0x408, 4)).isEqualTo((int) (1201L * 3_579_545));
        assertThat(bus.read(0x400, 2) & 1).isEqualTo(1);
    }

    @Test
    void thePowerButtonInterruptsUntilItsStatusIsCleared() {
        PowerManagement power = powerManagement();
        power.pressPowerButton();
        assertThat(level).isFalse();
        bus.write(0x402, 2, 0x100);
        assertThat(level).isTrue();
        assertThat(bus.read(0x400, 2)).isEqualTo(0x100);
        bus.write(0x400, 2, 0x100);
        assertThat(level).isFalse();
        assertThat(bus.read(0x404, 2) & 1).as("ACPI mode").isEqualTo(1);
    }

    @Test
    void onlySoftOffTurnsTheMachineOff() {
        powerManagement();
        bus.write(0x404, 2, 5 << 10);
        bus.write(0x404, 2, 3 << 10 | 0x2000);
        assertThat(off).isFalse();
        bus.write(0x404, 2, 5 << 10 | 0x2000);
        assertThat(off).isTrue();
    }
}
