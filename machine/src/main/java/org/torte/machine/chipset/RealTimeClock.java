package org.torte.machine.chipset;

import java.time.Instant;
import java.time.LocalDateTime;
import java.time.YearMonth;
import java.time.ZoneOffset;
import java.time.temporal.ChronoField;
import java.util.function.BiConsumer;
import org.torte.base.Clock;
import org.torte.base.StateInput;
import org.torte.base.StateOutput;
import org.torte.base.Timers;

/**
 * An MC146818A with 128 bytes, at ports 0x70 (index; bit 7, which masks NMI in a PC, has no effect) and 0x71 (data). The
 * time is the wall clock in UTC plus what the guest has set it apart by, so it is right after a pause. Interrupt 8.
 *
 * <p>Nothing ticks: time and flags are worked out when somebody looks, and the timer runs only while an interrupt is
 * enabled.
 */
public final class RealTimeClock implements BytePortDevice, Device {
    /** The first of its two ports. */
    public static final int BASE = 0x70;

    /** How many ports it takes. */
    public static final int PORTS = 2;

    /** Where the century is, which FADT names. */
    public static final int CENTURY = 0x32;

    private static final int SECONDS = 0, SECONDS_ALARM = 1, MINUTES = 2, MINUTES_ALARM = 3, HOURS = 4, HOURS_ALARM = 5;
    private static final int WEEKDAY = 6, DAY = 7, MONTH = 8, YEAR = 9, REG_A = 10, REG_B = 11, REG_C = 12, REG_D = 13;
    private static final int UPDATING = 0x80, DIVIDER = 0x70, DIVIDER_ON = 0x20;
    private static final int SET = 0x80, PERIODIC = 0x40, ALARM = 0x20, UPDATE = 0x10, BINARY = 4, HOURS_24 = 2;
    private static final int INTERRUPT = 0x80;
    private static final int VALID = 0x80;
    private static final int AFTERNOON = 0x80;
    private static final int ANY = 0xc0;

    private static final long NANOS = 1_000_000_000L;
    /** How long before the new second the update shows (data sheet: 244 us of notice and 1984 us of update). */
    private static final long UPDATE_NANOS = 2_228_000;

    /** How far an alarm is looked for in a second that has passed unseen. */
    private static final long ALARM_WINDOW = 24 * 60 * 60;

    /** Dates that the two-digit year and the century can show. */
    private static final long EARLIEST = LocalDateTime.of(1, 1, 1, 0, 0).toEpochSecond(ZoneOffset.UTC);

    private static final long LATEST =
            LocalDateTime.of(9999, 12, 31, 23, 59, 59).toEpochSecond(ZoneOffset.UTC);

    private final Clock clock;
    private final Timers.Timer timer;
    private final InterruptWire wire;
    private final byte[] memory = new byte[128];

    private int index;
    /** What the guest's time is ahead of the wall clock, in seconds. */
    private long offset;

    private int flags;
    /** The second up to which alarm and update flags are settled. */
    private long settledSecond;

    /** The number of the periodic interrupt, counted from machine time zero, up to which its flag is settled. */
    private long settledPeriod;

    /** A clock that interrupts by {@code wire}, with the memory sizes of the machine in its non-volatile memory. */
    public RealTimeClock(Timers timers, InterruptWire wire, long memoryBytes) {
        clock = timers.clock();
        timer = timers.create(this::expired);
        this.wire = wire;
        memory[REG_A] = 0x26;
        memory[REG_B] = HOURS_24;
        writeMemorySizes(memoryBytes);
        reset();
    }

    /** Base memory, memory above 1 MiB and above 16 MiB, as every PC's setup stored them. */
    private void writeMemorySizes(long memoryBytes) {
        putWord(0x15, 640);
        long low = Math.min(memoryBytes, 3L << 30);
        long kilobytes = Math.min((low >> 10) - 1024, 0xffff);
        putWord(0x17, (int) Math.max(kilobytes, 0));
        putWord(0x30, (int) Math.max(kilobytes, 0));
        putWord(0x34, (int) Math.max(low - (16L << 20) >> 16, 0));
        long high = Math.max(memoryBytes - low, 0) >> 16;
        putWord(0x5b, (int) Math.min(high, 0xffff));
        memory[0x5d] = (byte) (high >> 16);
    }

    private void putWord(int at, int value) {
        memory[at] = (byte) value;
        memory[at + 1] = (byte) (value >>> 8);
    }

    @Override
    public synchronized int readByte(int port) {
        return port == 0 ? 0xff : readRegister();
    }

    @Override
    public synchronized void writeByte(int port, int value) {
        if (port == 0) {
            index = value & 0x7f;
        } else {
            writeRegister(value);
        }
    }

    private int readRegister() {
        switch (index) {
            case SECONDS, MINUTES, HOURS, WEEKDAY, DAY, MONTH, YEAR, CENTURY -> {
                if (!set()) {
                    storeTime(time());
                }
            }
            case REG_A -> {
                return memory[REG_A] | (updating() ? UPDATING : 0);
            }
            case REG_C -> {
                settle();
                int value = flags | (interrupting() ? INTERRUPT : 0);
                flags = 0;
                wire.set(false);
                arm();
                return value;
            }
            case REG_D -> {
                return VALID;
            }
            default -> {}
        }
        return memory[index] & 0xff;
    }

    private void writeRegister(int value) {
        switch (index) {
            case SECONDS, MINUTES, HOURS, WEEKDAY, DAY, MONTH, YEAR, CENTURY -> {
                if (set()) {
                    memory[index] = (byte) value;
                } else {
                    settle();
                    storeTime(time());
                    memory[index] = (byte) value;
                    takeTime();
                }
            }
            case SECONDS_ALARM, MINUTES_ALARM, HOURS_ALARM -> {
                settle();
                memory[index] = (byte) value;
                arm();
            }
            case REG_A -> {
                settle();
                memory[REG_A] = (byte) (value & ~UPDATING);
                settledPeriod = period();
                arm();
            }
            case REG_B -> writeControl(value);
            case REG_C, REG_D -> {}
            default -> memory[index] = (byte) value;
        }
    }

    private void writeControl(int value) {
        settle();
        boolean wasSet = set();
        boolean willBeSet = (value & SET) != 0;
        if (!wasSet && willBeSet) {
            storeTime(time());
        }
        // SET also clears the enabling of the update interrupt (data sheet, register B).
        memory[REG_B] = (byte) (willBeSet ? value & ~UPDATE : value);
        if (wasSet && !willBeSet) {
            takeTime();
        }
        updateInterrupt();
        arm();
    }

    private boolean set() {
        return (memory[REG_B] & SET) != 0;
    }

    /** The guest's time: seconds since 1970. */
    private long second() {
        return Math.clamp(clock.wallTime().getEpochSecond() + offset, EARLIEST, LATEST);
    }

    private int nanoOfSecond() {
        return clock.wallTime().get(ChronoField.NANO_OF_SECOND);
    }

    private LocalDateTime time() {
        return LocalDateTime.ofEpochSecond(second(), 0, ZoneOffset.UTC);
    }

    private boolean updating() {
        return !set() && nanoOfSecond() >= NANOS - UPDATE_NANOS;
    }

    private void storeTime(LocalDateTime time) {
        memory[SECONDS] = encode(time.getSecond());
        memory[MINUTES] = encode(time.getMinute());
        memory[HOURS] = encodeHour(time.getHour());
        memory[WEEKDAY] = encode(time.getDayOfWeek().getValue() % 7 + 1);
        memory[DAY] = encode(time.getDayOfMonth());
        memory[MONTH] = encode(time.getMonthValue());
        memory[YEAR] = encode(time.getYear() % 100);
        memory[CENTURY] = encode(time.getYear() / 100);
    }

    /** Makes the time in the registers the guest's time; impossible fields count as the nearest possible ones. */
    private void takeTime() {
        int year = Math.clamp(decode(memory[CENTURY]) * 100 + decode(memory[YEAR]), 1, 9999);
        int month = Math.clamp(decode(memory[MONTH]), 1, 12);
        int day = Math.clamp(decode(memory[DAY]), 1, YearMonth.of(year, month).lengthOfMonth());
        LocalDateTime time = LocalDateTime.of(
                year,
                month,
                day,
                decodeHour(memory[HOURS]),
                Math.clamp(decode(memory[MINUTES]), 0, 59),
                Math.clamp(decode(memory[SECONDS]), 0, 59));
        offset = time.toEpochSecond(ZoneOffset.UTC) - clock.wallTime().getEpochSecond();
        settledSecond = second();
        arm();
    }

    private boolean binary() {
        return (memory[REG_B] & BINARY) != 0;
    }

    private byte encode(int value) {
        return (byte) (binary() ? value : value / 10 << 4 | value % 10);
    }

    private int decode(int stored) {
        int value = stored & 0xff;
        return binary() ? value : (value >>> 4) * 10 + (value & 0xf);
    }

    private byte encodeHour(int hour) {
        if ((memory[REG_B] & HOURS_24) != 0) {
            return encode(hour);
        }
        int twelve = hour % 12 == 0 ? 12 : hour % 12;
        return (byte) (encode(twelve) | (hour >= 12 ? AFTERNOON : 0));
    }

    private int decodeHour(int stored) {
        if ((memory[REG_B] & HOURS_24) != 0) {
            return Math.clamp(decode(stored), 0, 23);
        }
        int twelve = decode(stored & ~AFTERNOON) % 12;
        return Math.clamp(twelve + ((stored & AFTERNOON) != 0 ? 12 : 0), 0, 23);
    }

    private boolean alarmAt(long second) {
        LocalDateTime time = LocalDateTime.ofEpochSecond(second, 0, ZoneOffset.UTC);
        return matches(memory[SECONDS_ALARM], encode(time.getSecond()))
                && matches(memory[MINUTES_ALARM], encode(time.getMinute()))
                && matches(memory[HOURS_ALARM], encodeHour(time.getHour()));
    }

    private static boolean matches(byte alarm, byte now) {
        return alarm == now || (alarm & ANY) == ANY;
    }

    /** Length of the periodic interrupt in units of 1/32768 s, 0 when it is off (data sheet, table 5). */
    private long periodUnits() {
        int rate = memory[REG_A] & 0xf;
        if (rate == 0 || (memory[REG_A] & DIVIDER) != DIVIDER_ON) {
            return 0;
        }
        return 1L << (rate <= 2 ? rate + 6 : rate - 1);
    }

    /** How many periods have passed since machine time zero. */
    private long period() {
        long units = periodUnits();
        long nanos = clock.nanos();
        return units == 0 ? 0 : (nanos / NANOS * 32_768 + nanos % NANOS * 32_768 / NANOS) / units;
    }

    /** Brings the flags and the interrupt up to date. */
    private void settle() {
        long period = period();
        if (period != settledPeriod) {
            settledPeriod = period;
            flags |= PERIODIC;
        }
        long second = second();
        if (second != settledSecond) {
            if (!set()) {
                flags |= UPDATE | (alarmPassed(second) ? ALARM : 0);
            }
            settledSecond = second;
        }
        updateInterrupt();
    }

    private boolean alarmPassed(long now) {
        long from = Math.max(settledSecond + 1, now - ALARM_WINDOW);
        for (long second = from; second <= now; second++) {
            if (alarmAt(second)) {
                return true;
            }
        }
        return false;
    }

    private boolean interrupting() {
        return (flags & memory[REG_B] & (PERIODIC | ALARM | UPDATE)) != 0;
    }

    private void updateInterrupt() {
        wire.set(interrupting());
    }

    private synchronized void expired() {
        settle();
        arm();
    }

    /** Arms the timer for the next event whose interrupt is enabled and has not happened yet. */
    private void arm() {
        int wanted = memory[REG_B] & ~flags;
        long deadline = Long.MAX_VALUE;
        if ((wanted & PERIODIC) != 0 && periodUnits() != 0) {
            long units = (period() + 1) * periodUnits();
            deadline = units / 32_768 * NANOS + (units % 32_768 * NANOS + 32_767) / 32_768;
        }
        if ((wanted & (ALARM | UPDATE)) != 0 && !set()) {
            long toNextSecond = NANOS - nanoOfSecond();
            deadline = Math.min(deadline, clock.nanos() + toNextSecond);
        }
        if (deadline == Long.MAX_VALUE) {
            timer.cancel();
        } else {
            timer.arm(deadline);
        }
    }

    @Override
    public String name() {
        return "real-time-clock";
    }

    /** The reset wire clears the interrupt enables and flags; time and memory are kept by the battery. */
    @Override
    public synchronized void reset() {
        index = 0;
        memory[REG_B] &= (byte) ~(PERIODIC | ALARM | UPDATE);
        flags = 0;
        settledSecond = second();
        settledPeriod = period();
        wire.set(false);
        arm();
    }

    @Override
    public int stateVersion() {
        return 1;
    }

    @Override
    public synchronized void save(StateOutput state) {
        state.putBytes(memory)
                .putByte(index)
                .putLong(offset)
                .putByte(flags)
                .putLong(settledSecond)
                .putLong(settledPeriod);
    }

    @Override
    public synchronized void restore(StateInput state) {
        byte[] bytes = state.getBytes();
        state.check(bytes.length == memory.length, "clock memory of " + bytes.length + " bytes");
        System.arraycopy(bytes, 0, memory, 0, bytes.length);
        index = state.getByte() & 0x7f;
        offset = state.getLong();
        state.check(offset >= EARLIEST - LATEST && offset <= LATEST - EARLIEST, "a clock " + offset + " s off");
        flags = state.getByte() & (PERIODIC | ALARM | UPDATE);
        settledSecond = state.getLong();
        settledPeriod = state.getLong();
        arm();
    }

    @Override
    public synchronized void inspect(BiConsumer<String, Object> sink) {
        sink.accept("time", Instant.ofEpochSecond(second()));
        sink.accept("offset-seconds", offset);
        sink.accept("control", memory[REG_B] & 0xff);
        sink.accept("flags", flags);
    }
}
