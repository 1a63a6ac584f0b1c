package org.torte.machine.chipset;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.torte.machine.SerialEndpoint;

class SerialDeviceTest {
    private boolean interrupt;
    private boolean hostTakes = true;
    private int readyCalls;
    private final List<Integer> sent = new ArrayList<>();
    private final SerialDevice port = new SerialDevice("serial.0", high -> interrupt = high);

    SerialDeviceTest() {
        port.attach(new SerialEndpoint() {
            @Override
            public boolean transmit(int value) {
                return hostTakes && sent.add(value);
            }

            @Override
            public void readyToReceive() {
                readyCalls++;
            }
        });
    }

    @Test
    void looksLikeA16550AToLinuxAutoconfiguration() {
        port.writeByte(1, 0x0f);
        assertThat(port.readByte(1)).isEqualTo(0x0f);
        port.writeByte(1, 0);
        port.writeByte(4, 0x1a);
        assertThat(port.readByte(6) & 0xf0).isEqualTo(0x90);
        port.writeByte(4, 0);
        port.writeByte(2, 1);
        assertThat(port.readByte(2)).isEqualTo(0xc1);
        port.writeByte(3, 0x80);
        port.writeByte(0, 1);
        port.writeByte(1, 2);
        assertThat(port.readByte(0)).isEqualTo(1);
        assertThat(port.readByte(1)).isEqualTo(2);
        port.writeByte(3, 3);
        port.writeByte(7, 0x5a);
        assertThat(port.readByte(7)).isEqualTo(0x5a);
    }

    @Test
    void transmitterInterruptsWhenItIsEmptyAndReadingTheCauseClearsIt() {
        port.writeByte(4, 8);
        port.writeByte(1, 2);
        assertThat(interrupt).isTrue();
        assertThat(port.readByte(2)).isEqualTo(2);
        assertThat(interrupt).isFalse();
        port.writeByte(0, 'a');
        assertThat(sent).containsExactly((int) 'a');
        assertThat(interrupt).isTrue();
        port.writeByte(4, 0);
        assertThat(interrupt).as("OUT2 closes the gate").isFalse();
    }

    @Test
    void aHostThatTakesNothingKeepsTheTransmitterBusyAndLosesNothing() {
        port.writeByte(2, 1);
        hostTakes = false;
        for (int i = 0; i < 16; i++) {
            port.writeByte(0, i);
        }
        assertThat(port.readByte(5) & 0x60).isZero();
        hostTakes = true;
        port.resumeOutput();
        assertThat(sent).hasSize(16).startsWith(0, 1, 2);
        assertThat(port.readByte(5) & 0x60).isEqualTo(0x60);
    }

    @Test
    void whatTheHostSendsWaitsAndTheHostIsToldWhenThereIsRoom() {
        byte[] bytes = new byte[10_000];
        int taken = port.receive(bytes, 0, bytes.length);
        assertThat(taken).isBetween(16, 9_999);
        assertThat(port.receive(bytes, 0, 1)).isZero();
        for (int i = 0; i < taken; i++) {
            assertThat(readyCalls).isZero();
            assertThat(port.readByte(5) & 1).isEqualTo(1);
            port.readByte(0);
        }
        assertThat(readyCalls).isEqualTo(1);
        assertThat(port.readByte(5) & 1).isZero();
    }

    @Test
    void receivedBytesInterruptAtTheTriggerLevelAndAsTimeoutBelowIt() {
        port.writeByte(4, 8);
        port.writeByte(2, 0x81);
        port.writeByte(1, 1);
        port.receive(new byte[] {1, 2, 3}, 0, 3);
        assertThat(port.readByte(2)).isEqualTo(0xcc);
        port.receive(new byte[] {4, 5, 6, 7, 8}, 0, 5);
        assertThat(port.readByte(2)).isEqualTo(0xc4);
        for (int i = 1; i <= 8; i++) {
            assertThat(interrupt).isTrue();
            assertThat(port.readByte(0)).isEqualTo(i);
        }
        assertThat(interrupt).isFalse();
    }

    @Test
    void aBreakShowsWhenItGetsToTheHead() {
        port.receive(new byte[] {'x'}, 0, 1);
        port.sendBreak();
        assertThat(port.readByte(5) & 0x1f).isEqualTo(1);
        assertThat(port.readByte(0)).isEqualTo('x');
        assertThat(port.readByte(5) & 0x1f).isEqualTo(0x19);
        assertThat(port.readByte(0)).isZero();
        assertThat(port.readByte(5) & 0x1f).isZero();
    }

    @Test
    void loopbackReturnsWhatIsSentAndTellsOfOverruns() {
        port.writeByte(4, 0x10);
        port.writeByte(0, 'a');
        port.writeByte(0, 'b');
        assertThat(port.readByte(5) & 3).isEqualTo(3);
        assertThat(port.readByte(0)).isEqualTo('a');
        assertThat(sent).isEmpty();
    }
}
