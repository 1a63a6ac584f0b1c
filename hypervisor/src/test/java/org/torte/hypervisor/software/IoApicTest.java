package org.torte.hypervisor.software;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.List;
import java.util.function.IntPredicate;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.torte.base.GuestMemory;
import org.torte.base.StateContainerReader;
import org.torte.base.StateContainerWriter;
import org.torte.hypervisor.shared.IoApic;

class IoApicTest {
    private final ManualTimers timers = new ManualTimers();
    private final InterruptRouter router = new InterruptRouter();
    private final IoApic ioApic = router.ioApic();
    private final TimeStampCounter tsc = new TimeStampCounter(timers.clock(), 1_000_000_000L);
    private final LocalApic first = new LocalApic(0, router, new Events(), timers, tsc);
    private final Events secondEvents = new Events();
    private final LocalApic second = new LocalApic(1, router, secondEvents, timers, tsc);

    @BeforeEach
    void enableBoth() {
        router.connect(List.of(first, second));
        first.writeMemory(0xf0, 4, 0x1ff);
        second.writeMemory(0xf0, 4, 0x1ff);
        first.writeMemory(0xd0, 4, 1 << 24);
        second.writeMemory(0xd0, 4, 2 << 24);
    }

    private void redirect(int input, int low, int destination) {
        ioApic.write(IoApic.ADDRESS, 4, 0x11 + 2 * input);
        ioApic.write(IoApic.ADDRESS + 0x10, 4, destination << 24);
        ioApic.write(IoApic.ADDRESS, 4, 0x10 + 2 * input);
        ioApic.write(IoApic.ADDRESS + 0x10, 4, low);
    }

    private long entry(int input) {
        ioApic.write(IoApic.ADDRESS, 4, 0x10 + 2 * input);
        return ioApic.read(IoApic.ADDRESS + 0x10, 4);
    }

    @Test
    void identifiesItselfWith24MaskedInputs() {
        ioApic.write(IoApic.ADDRESS, 4, 1);
        assertThat(ioApic.read(IoApic.ADDRESS + 0x10, 4)).isEqualTo(0x0017_0011);
        ioApic.write(IoApic.ADDRESS, 4, 0);
        ioApic.write(IoApic.ADDRESS + 0x10, 4, 0x0500_0000);
        assertThat(ioApic.read(IoApic.ADDRESS + 0x10, 4)).isEqualTo(0x0500_0000);
        for (int i = 0; i < 24; i++) {
            assertThat(entry(i)).isEqualTo(0x10000);
        }
        ioApic.write(IoApic.ADDRESS, 4, 0x40);
        assertThat(ioApic.read(IoApic.ADDRESS + 0x10, 4)).isZero();
    }

    @Test
    void anEdgeInterruptsOnceForEachRise() {
        redirect(4, 0x34, 1);
        ioApic.setWire(4, true);
        ioApic.setWire(4, true);
        assertThat(second.acknowledge()).isEqualTo(0x34);
        second.endOfInterrupt();
        assertThat(second.acknowledge()).isEqualTo(-1);
        ioApic.setWire(4, false);
        ioApic.setWire(4, true);
        assertThat(second.acknowledge()).isEqualTo(0x34);
        assertThat(first.acknowledge()).isEqualTo(-1);
    }

    @Test
    void anEdgeOnAMaskedInputIsLost() {
        redirect(4, 0x10034, 1);
        ioApic.setWire(4, true);
        redirect(4, 0x34, 1);
        assertThat(second.acknowledge()).isEqualTo(-1);
    }

    @Test
    void aLevelInterruptsAgainAfterEndOfInterruptWhileItIsHigh() {
        redirect(9, 0x8039, 0);
        ioApic.setWire(9, true);
        assertThat(entry(9)).isEqualTo(0xc039);
        assertThat(first.acknowledge()).isEqualTo(0x39);
        ioApic.setWire(9, true);
        assertThat(first.deliverable()).isFalse();
        first.endOfInterrupt();
        assertThat(first.acknowledge()).isEqualTo(0x39);
        ioApic.setWire(9, false);
        first.endOfInterrupt();
        assertThat(entry(9)).isEqualTo(0x8039);
        assertThat(first.acknowledge()).isEqualTo(-1);
    }

    @Test
    void aLevelThatRoseWhileMaskedInterruptsWhenUnmasked() {
        redirect(9, 0x18039, 0);
        ioApic.setWire(9, true);
        assertThat(first.acknowledge()).isEqualTo(-1);
        redirect(9, 0x8039, 0);
        assertThat(first.acknowledge()).isEqualTo(0x39);
    }

    @Test
    void aLevelThatHasEndedUnseenIsSavedAsEndedAndInterruptsAgainWhenItsWireIsHigh() throws IOException {
        redirect(9, 0x8041, 0);
        ioApic.setWire(9, true);
        assertThat(first.acknowledge()).isEqualTo(0x41);
        redirect(10, 0x8042, 1);
        ioApic.setWire(10, true);
        assertThat(second.acknowledge()).isEqualTo(0x42);

        restore(saved(vector -> vector == 0x42));

        assertThat(entry(9)).isEqualTo(0x8041);
        assertThat(entry(10)).isEqualTo(0xc042);
        ioApic.raiseLevels();
        assertThat(entry(9)).isEqualTo(0xc041);
        assertThat(second.acknowledge()).isEqualTo(-1);
    }

    private byte[] saved(IntPredicate unfinished) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        StateContainerWriter writer = new StateContainerWriter(out, "");
        writer.section("ioapic", 1, body -> ioApic.save(body, unfinished));
        writer.finish();
        return out.toByteArray();
    }

    private void restore(byte[] state) throws IOException {
        StateContainerReader reader = new StateContainerReader(new ByteArrayInputStream(state));
        try (GuestMemory memory = GuestMemory.allocate(GuestMemory.PAGE_SIZE)) {
            reader.readRest(memory);
        }
        ioApic.restore(reader.section("ioapic", 1));
    }

    @Test
    void switchingToEdgeClearsRemoteIrr() {
        redirect(9, 0x8039, 0);
        ioApic.setWire(9, true);
        redirect(9, 0x10039, 0);
        assertThat(entry(9)).isEqualTo(0x10039);
        redirect(9, 0x8039, 0);
        assertThat(entry(9)).isEqualTo(0xc039);
    }

    @Test
    void logicalDestinationAndNmiModeWork() {
        redirect(5, 0x0835, 2);
        ioApic.setWire(5, true);
        assertThat(first.acknowledge()).isEqualTo(-1);
        assertThat(second.acknowledge()).isEqualTo(0x35);
        redirect(6, 0x0400, 1);
        ioApic.setWire(6, true);
        assertThat(secondEvents.isPending(Events.NMI)).isTrue();
    }

    @Test
    void messagesCarryVectorModeAndDestination() {
        router.signalMessage(0xfee0_1000L, 0x4051);
        assertThat(second.acknowledge()).isEqualTo(0x51);
        router.signalMessage(0xfee0_1004L, 0x0062); // logical: processor 0
        assertThat(first.acknowledge()).isEqualTo(0x62);
        router.signalMessage(0xfeef_f000L, 0x0073);
        assertThat(first.acknowledge()).isEqualTo(0x73);
        assertThat(second.acknowledge()).isEqualTo(0x73);
        router.signalMessage(0xfee0_1000L, 0x0400);
        assertThat(secondEvents.isPending(Events.NMI)).isTrue();
        router.signalMessage(0xfee0_0000L, 0x8084); // level, not asserted
        assertThat(first.acknowledge()).isEqualTo(-1);
    }

    @Test
    void onlyWholeRegistersAreWritten() {
        ioApic.write(IoApic.ADDRESS, 4, 1);
        ioApic.write(IoApic.ADDRESS + 1, 1, 0xff);
        ioApic.write(IoApic.ADDRESS + 4, 4, 0x10);
        assertThat(ioApic.read(IoApic.ADDRESS, 4)).isEqualTo(1);
        assertThat(ioApic.read(IoApic.ADDRESS + 0x12, 1)).isEqualTo(0x17);
        assertThat(ioApic.read(IoApic.ADDRESS + 0x14, 4)).isZero();
        assertThat(IoApic.claims(0xfec0_0fffL)).isTrue();
        assertThat(IoApic.claims(0xfec0_1000L)).isFalse();
    }

    @Test
    void thereAreOnly24Inputs() {
        assertThatThrownBy(() -> ioApic.setWire(24, true)).isInstanceOf(IllegalArgumentException.class);
    }
}
