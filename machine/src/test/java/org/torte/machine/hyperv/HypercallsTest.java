package org.torte.machine.hyperv;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.torte.base.GuestMemory;
import org.torte.base.ManualClock;
import org.torte.base.ManualTimers;
import org.torte.base.RandomSource;
import org.torte.hypervisor.CpuState;
import org.torte.machine.hyperv.FakePartition.Interrupt;

class HypercallsTest {
    private static final int PORT = 0xec, NARROW_PORT = 0xed;
    private static final long FAST = 1 << 16;
    private static final int INVALID_CODE = 2, INVALID_INPUT = 3, INVALID_ALIGNMENT = 4, INVALID_PARAMETER = 5;
    private static final int INVALID_CONNECTION = 18;
    private static final long INPUT = 0x8000, OUTPUT = 0x9000;

    private final GuestMemory memory = GuestMemory.allocate(8 << 20);
    private final FakePartition partition = new FakePartition(memory, 3);
    private final FakePartition.Registers cpu = partition.processor(1);
    private final HypervInterface hyperv = new HypervInterface(
            memory,
            partition,
            new ManualTimers(new ManualClock(Instant.EPOCH)),
            1_000_000_000L,
            3,
            TestPower.NONE,
            crash -> {});
    private final List<String> received = new ArrayList<>();

    @BeforeEach
    void enable() {
        hyperv.writeMsr(0, 0x40000000, 1);
        hyperv.writeMsr(0, 0x40000001, 0x5001);
        hyperv.connect(new Connections() {
            @Override
            public HypercallStatus post(int connection, int type, byte[] payload) {
                received.add("message %d %d %d".formatted(connection, type, payload.length));
                return connection == 1 ? HypercallStatus.SUCCESS : HypercallStatus.INVALID_CONNECTION_ID;
            }

            @Override
            public HypercallStatus signal(int connection, int flag) {
                received.add("event %d %d".formatted(connection, flag));
                return HypercallStatus.SUCCESS;
            }
        });
    }

    @AfterEach
    void close() {
        memory.close();
    }

    private long call(long control, long input, long output) {
        cpu.general[CpuState.RCX] = control;
        cpu.general[CpuState.RDX] = input;
        cpu.general[8] = output;
        cpu.general[CpuState.RAX] = -1;
        assertThat(hyperv.writePort(1, PORT, 1)).isTrue();
        return cpu.general[CpuState.RAX];
    }

    @Test
    void withoutAHypercallPageThePortIsNone() {
        hyperv.writeMsr(0, 0x40000001, 0);
        assertThat(hyperv.writePort(1, PORT, 1)).isFalse();
    }

    @Test
    void aMessageIsPostedFromMemoryOnly() {
        memory.putInt(INPUT, 1);
        memory.putInt(INPUT + 8, 7);
        memory.putInt(INPUT + 12, 40);
        assertThat(call(0x5c, INPUT, 0)).isZero();
        memory.putInt(INPUT + 12, 241);
        assertThat(call(0x5c, INPUT, 0)).isEqualTo(INVALID_PARAMETER);
        memory.putInt(INPUT + 12, 0);
        memory.putInt(INPUT, 9);
        assertThat(call(0x5c, INPUT, 0)).isEqualTo(INVALID_CONNECTION);
        assertThat(call(0x5c | FAST, INPUT, 0)).isEqualTo(INVALID_INPUT);
        assertThat(call(0x5c, INPUT + 4, 0)).isEqualTo(INVALID_ALIGNMENT);
        assertThat(call(0x5c, 0x8ff8, 0)).isEqualTo(INVALID_ALIGNMENT);
        assertThat(call(0x5c, 1L << 40, 0)).isEqualTo(INVALID_INPUT);
        assertThat(received).containsExactly("message 1 7 40", "message 9 7 0");
    }

    @Test
    void thePagesOwnCodeForEventsGetsTheConnectionAndTheStatus() {
        cpu.general[CpuState.RDX] = 0x2001;
        cpu.general[CpuState.RAX] = 0x2001;
        assertThat(hyperv.writePort(1, 0xee, 1)).isFalse();
        assertThat(hyperv.writePort(1, 0xee, 4)).isTrue();
        assertThat(cpu.general[CpuState.RAX]).isEqualTo(0x2001);
        cpu.general[CpuState.RDX] = 0xffff_fff8L;
        assertThat(hyperv.writePort(1, 0xee, 4)).isTrue();
        assertThat(cpu.general[CpuState.RAX] - 0xffff_fff8L & 0xffff_ffffL).isEqualTo(INVALID_CONNECTION);
        assertThat(received).containsExactly("event 8193 0");
    }

    @Test
    void freePagesAreThrownAwayInWholeLargePages() {
        assertThat(call(0x8001, 0, OUTPUT)).isZero();
        assertThat(memory.getLong(OUTPUT)).isEqualTo(1 << 8);
        assertThat(call(0x8001, 0, OUTPUT + 4)).isEqualTo(INVALID_ALIGNMENT);
        long large = 1 << 11;
        memory.putLong(3 << 20, 1);
        memory.putLong(5 << 20, 1);
        memory.putLong(INPUT, 2);
        memory.putLong(INPUT + 8, 2 << 20 | large);
        memory.putLong(INPUT + 16, 4 << 20 | large | 1);
        memory.putLong(INPUT + 24, 6 << 20 | large | 1);
        assertThat(call(0x8003 | 3L << 32, INPUT, 0)).isEqualTo(INVALID_PARAMETER | 2L << 32);
        assertThat(memory.nextData(2 << 20, 8 << 20))
                .as("only the two that are RAM")
                .isEqualTo(8 << 20);
        memory.putLong(INPUT + 8, 2 << 20);
        assertThat(call(0x8003 | 1L << 32, INPUT, 0)).as("small pages").isEqualTo(INVALID_PARAMETER);
        memory.putLong(INPUT, 1);
        assertThat(call(0x8003 | 1L << 32, INPUT, 0)).as("another hint").isEqualTo(INVALID_PARAMETER);
        assertThat(call(0x8003, INPUT, 0)).as("no range").isEqualTo(INVALID_INPUT);
    }

    @Test
    void anEventIsSignalledFromRegistersOrMemory() {
        assertThat(call(0x5d | FAST, 0x2005 | 3L << 32, 0)).isZero();
        memory.putLong(INPUT, 0x2006);
        assertThat(call(0x5d, INPUT, 0)).isZero();
        assertThat(call(0x5d | 1L << 32, INPUT, 0)).as("a repetition").isEqualTo(INVALID_INPUT);
        assertThat(call(0x5d | 1L << 27, INPUT, 0)).as("a reserved bit").isEqualTo(INVALID_INPUT);
        assertThat(received).containsExactly("event 8197 3", "event 8198 0");
    }

    @Test
    void narrowCodePassesEachValueInTwoRegisters() {
        cpu.general[CpuState.RDX] = 0;
        cpu.general[CpuState.RAX] = 0x5d | FAST;
        cpu.general[CpuState.RBX] = 2;
        cpu.general[CpuState.RCX] = 0x2001;
        assertThat(hyperv.writePort(1, NARROW_PORT, 1)).isTrue();
        assertThat(cpu.general[CpuState.RAX]).isZero();
        assertThat(received).containsExactly("event 8193 2");
    }

    @Test
    void interruptsGoToTheProcessorsOfTheSet() {
        assertThat(call(0xb | FAST, 0x40, 0b101)).isZero();
        assertThat(partition.takeInterrupts()).containsExactly(new Interrupt(0, 0x40), new Interrupt(2, 0x40));
        assertThat(call(0xb | FAST, 15, 1)).isEqualTo(INVALID_PARAMETER);
        assertThat(call(0xb | FAST, 256, 1)).isEqualTo(INVALID_PARAMETER);
        memory.putLong(INPUT, 0x41);
        memory.putLong(INPUT + 8, 0);
        memory.putLong(INPUT + 16, 1);
        memory.putLong(INPUT + 24, 0b10);
        assertThat(call(0x15 | 1 << 17, INPUT, 0)).isZero();
        assertThat(partition.takeInterrupts()).containsExactly(new Interrupt(1, 0x41));
        assertThat(call(0x15, INPUT, 0)).as("a bank is missing").isEqualTo(INVALID_INPUT);
        memory.putLong(INPUT + 8, 1);
        assertThat(call(0x15, INPUT, 0)).isZero();
        assertThat(partition.takeInterrupts()).hasSize(3);
        cpu.vectors[0] = 1;
        cpu.vectors[1] = 0b100;
        assertThat(call(0x15 | 1 << 17 | FAST, 0x42, 0))
                .as("in vector registers")
                .isZero();
        assertThat(partition.takeInterrupts()).containsExactly(new Interrupt(2, 0x42));
    }

    @Test
    void flushesSayHowManyRepetitionsAreDone() {
        memory.putLong(INPUT, 0);
        memory.putLong(INPUT + 8, 2);
        memory.putLong(INPUT + 16, 0b11);
        assertThat(call(2, INPUT, 0)).isZero();
        assertThat(call(3 | 5L << 32, INPUT, 0)).isEqualTo(5L << 32);
        assertThat(call(3 | 5L << 32 | 5L << 48, INPUT, 0)).isEqualTo(INVALID_INPUT);
        assertThat(call(3, INPUT, 0)).isEqualTo(INVALID_INPUT);
        memory.putLong(INPUT + 8, 1);
        assertThat(call(0x14 | 2L << 32, INPUT, 0)).isEqualTo(2L << 32);
        assertThat(partition.flushes).containsExactly(3L, 3L, -1L);
    }

    @Test
    void registersAreReadAndWrittenByName() {
        memory.putLong(INPUT, -1);
        memory.putInt(INPUT + 8, -2);
        memory.putInt(INPUT + 16, 0x90003);
        memory.putInt(INPUT + 20, 0x90002);
        memory.putInt(INPUT + 24, 0x77777);
        assertThat(call(0x50 | 2L << 32, INPUT, OUTPUT)).isEqualTo(2L << 32);
        assertThat(memory.getLong(OUTPUT)).isEqualTo(1);
        assertThat(memory.getLong(OUTPUT + 16)).isEqualTo(1);
        assertThat(call(0x50 | 3L << 32, INPUT, OUTPUT)).isEqualTo(INVALID_PARAMETER | 2L << 32);
        memory.putInt(INPUT + 16, 0x210);
        memory.putLong(INPUT + 32, 77);
        assertThat(call(0x51 | 1L << 32, INPUT, 0)).isEqualTo(1L << 32);
        assertThat(call(0x50 | 1L << 32, INPUT, OUTPUT)).isEqualTo(1L << 32);
        assertThat(memory.getLong(OUTPUT)).isEqualTo(77);
        memory.putInt(INPUT + 8, 0);
        assertThat(call(0x50 | 1L << 32, INPUT, OUTPUT)).isEqualTo(14);
    }

    @Test
    void unknownCallsAreRefused() {
        assertThat(call(0x7777, 0, 0)).isEqualTo(INVALID_CODE);
        assertThat(call(8 | FAST, 3, 0)).isZero();
    }

    @Test
    void idlingWaitsForAnInterrupt() {
        assertThat(hyperv.readMsr(0, 0x400000f0, new org.torte.hypervisor.ExitHandler.MsrValue()))
                .isTrue();
        assertThat(partition.waits).isEqualTo(1);
    }

    @Test
    void noiseNeverThrows() {
        long seed = 20261123;
        RandomSource random = RandomSource.seeded(seed);
        int[] codes = {2, 3, 8, 0xb, 0x13, 0x14, 0x15, 0x50, 0x51, 0x5c, 0x5d, 0};
        for (int i = 0; i < 200_000; i++) {
            long noise = random.nextLong();
            long control = codes[(int) (noise & 0xff) % codes.length];
            control |= (noise >>> 8 & 3) == 0 ? random.nextLong() << 16 : (noise >>> 10 & 1) << 16;
            control |= (noise >>> 11 & 3) == 0 ? (noise >>> 16 & 0xfff) << 32 : 0;
            long at = (noise >>> 13 & 3) == 0 ? random.nextLong() : (random.nextLong() & (1 << 20) - 1) & -8;
            for (int j = 0; j < 8 && memory.contains(at, 64); j++) {
                memory.putLong(at + 8L * j, random.nextLong() >>> (random.nextLong() & 63));
            }
            for (int j = 0; j < 12; j++) {
                cpu.vectors[j] = random.nextLong();
            }
            try {
                call(control, at, random.nextLong() & (1 << 21) - 1);
            } catch (RuntimeException e) {
                throw new AssertionError("seed " + seed + ", call " + i, e);
            }
        }
    }
}
