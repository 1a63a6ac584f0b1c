package org.torte.machine.hyperv;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.torte.base.GuestMemory;
import org.torte.base.ManualClock;
import org.torte.base.ManualTimers;
import org.torte.base.StateContainerReader;
import org.torte.base.StateContainerWriter;
import org.torte.hypervisor.ExitHandler.MsrValue;
import org.torte.machine.GuestCrash;
import org.torte.machine.chipset.PowerControl;

class HypervInterfaceTest {
    private static final long FREQUENCY = 2_000_000_000L;

    private final GuestMemory memory = GuestMemory.allocate(1 << 20);
    private final ManualClock clock = new ManualClock(Instant.EPOCH);
    private final List<GuestCrash> crashes = new ArrayList<>();
    private final ManualTimers timers = new ManualTimers(clock);
    private final FakePartition partition = new FakePartition(memory, 2);
    private boolean reset;
    private final HypervInterface hyperv = new HypervInterface(
            memory,
            partition,
            timers,
            FREQUENCY,
            2,
            new PowerControl() {
                @Override
                public void reset() {
                    reset = true;
                }

                @Override
                public void powerOff() {}

                @Override
                public void exit(int status) {}
            },
            crashes::add);

    @AfterEach
    void close() {
        memory.close();
    }

    private long read(int index) {
        MsrValue value = new MsrValue();
        assertThat(hyperv.readMsr(1, index, value)).isTrue();
        return value.value;
    }

    @Test
    void theHypercallPageIsFilledOnceTheGuestHasNamedItself() {
        assertThat(hyperv.writeMsr(0, 0x40000001, 0x5001)).isTrue();
        assertThat(read(0x40000001)).isEqualTo(0x5000);
        assertThat(memory.getInt(0x5000)).isZero();
        hyperv.writeMsr(0, 0x40000000, 0x8100_0000_0000_0000L);
        assertThat(hyperv.writeMsr(0, 0x40000001, 0x5001)).isTrue();
        byte[] code = new byte[43];
        memory.read(0x5000, code, 0, code.length);
        assertThat(code).startsWith(0xf3, 0x0f, 0x1e, 0xfa).endsWith(0xe6, 0xec, 0xc3);
        hyperv.writeMsr(0, 0x40000000, 0);
        assertThat(read(0x40000001) & 1).isZero();
    }

    @Test
    void pagesOutsideRamAreRefused() {
        hyperv.writeMsr(0, 0x40000000, 1);
        for (int register : new int[] {0x40000001, 0x40000021, 0x40000073}) {
            assertThat(hyperv.writeMsr(0, register, 1 << 20 | 1)).isFalse();
            assertThat(hyperv.writeMsr(0, register, -1)).isFalse();
        }
    }

    @Test
    void theReferencePageAndTheReferenceCounterAgree() {
        clock.advance(123_456_789_100L);
        hyperv.reset();
        hyperv.writeMsr(0, 0x40000021, 0x7001);
        clock.advance(7_777_777_700L);
        long tsc = 7_777_777_700L * (FREQUENCY / 1_000_000_000L);
        long scale = memory.getLong(0x7008);
        assertThat(memory.getInt(0x7000)).isEqualTo(1);
        assertThat(Math.unsignedMultiplyHigh(tsc, scale) + memory.getLong(0x7010))
                .isBetween(77_777_776L, 77_777_777L);
        assertThat(read(0x40000020)).isEqualTo(77_777_777);
    }

    @Test
    void registersTellIndexAndFrequencies() {
        assertThat(read(0x40000002)).isEqualTo(1);
        assertThat(read(0x40000022)).isEqualTo(FREQUENCY);
        assertThat(read(0x40000023)).isEqualTo(1_000_000_000L);
        assertThat(hyperv.writeMsr(0, 0x40000022, 1)).isFalse();
        assertThat(hyperv.readMsr(0, 0x40000118, new MsrValue())).isFalse();
    }

    @Test
    void theRunTimeOfAProcessorGoesOnOverAResetAndARestore() throws IOException {
        partition.processor(1).runTime = 1_234_567;
        assertThat(read(0x40000010)).isEqualTo(12_345);
        assertThat(hyperv.writeMsr(1, 0x40000010, 0)).isFalse();
        hyperv.reset();
        assertThat(read(0x40000010)).isEqualTo(12_345);
        ByteArrayOutputStream saved = new ByteArrayOutputStream();
        StateContainerWriter writer = new StateContainerWriter(saved, "");
        writer.section("hyperv", hyperv.stateVersion(), hyperv::save);
        writer.finish();
        partition.processor(1).runTime = 1000; // of another host, which has just begun
        StateContainerReader reader = new StateContainerReader(new ByteArrayInputStream(saved.toByteArray()));
        reader.readRest(memory);
        hyperv.restore(reader.section("hyperv", hyperv.stateVersion()));
        assertThat(read(0x40000010)).isEqualTo(12_345);
        partition.processor(1).runTime += 1_000_000;
        assertThat(read(0x40000010)).isEqualTo(22_345);
    }

    @Test
    void aCrashIsReportedWithItsMessage() {
        byte[] text = "Oops".getBytes(java.nio.charset.StandardCharsets.US_ASCII);
        memory.write(0x9000, text, 0, text.length);
        for (int i = 0; i < 3; i++) {
            hyperv.writeMsr(0, 0x40000100 + i, i + 1);
        }
        hyperv.writeMsr(0, 0x40000103, 0x9000);
        hyperv.writeMsr(0, 0x40000104, text.length);
        hyperv.writeMsr(0, 0x40000105, 3L << 62);
        hyperv.writeMsr(0, 0x40000104, -1);
        hyperv.writeMsr(0, 0x40000105, 3L << 62);
        assertThat(crashes)
                .containsExactly(new GuestCrash(1, 2, 3, 0x9000, 4, "Oops"), new GuestCrash(1, 2, 3, 0x9000, -1, ""));
        hyperv.writeMsr(0, 0x40000003, 1);
        assertThat(reset).isTrue();
    }
}
