package org.torte.machine.chipset;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.function.IntSupplier;
import org.junit.jupiter.api.Test;

class InterruptControllerTest {
    private boolean high;
    private IntSupplier acknowledge = () -> -1;
    private final PortBus bus = new PortBus();
    private final InterruptController pics = new InterruptController((level, source) -> {
        high = level;
        acknowledge = source;
    });

    InterruptControllerTest() {
        pics.connect(bus);
        pics.reset();
        for (int[] write : new int[][] {
            {0x20, 0x11},
            {0x21, 0x20},
            {0x21, 4},
            {0x21, 1},
            {0xa0, 0x11},
            {0xa1, 0x28},
            {0xa1, 2},
            {0xa1, 1},
            {0x21, 0},
            {0xa1, 0}
        }) {
            bus.write(write[0], 1, write[1]);
        }
    }

    @Test
    void anEdgeInterruptsOnceUntilTheNextEdge() {
        pics.setInput(0, true);
        assertThat(high).isTrue();
        assertThat(acknowledge.getAsInt()).isEqualTo(0x20);
        assertThat(high).isFalse();
        bus.write(0x20, 1, 0x20);
        assertThat(high).isFalse();
        pics.setInput(0, false);
        pics.setInput(0, true);
        assertThat(high).isTrue();
    }

    @Test
    void aHigherPriorityInterruptsALowerOneAndNotTheOtherWay() {
        pics.setInput(4, true);
        assertThat(acknowledge.getAsInt()).isEqualTo(0x24);
        pics.setInput(5, true);
        assertThat(high).isFalse();
        pics.setInput(1, true);
        assertThat(high).isTrue();
        assertThat(acknowledge.getAsInt()).isEqualTo(0x21);
        bus.write(0x20, 1, 0x20);
        bus.write(0x20, 1, 0x20);
        assertThat(acknowledge.getAsInt()).isEqualTo(0x25);
    }

    @Test
    void theSecondChipComesThroughInputTwoAndNothingIsLostWhenSeveralWait() {
        pics.setInput(8, true);
        pics.setInput(12, true);
        assertThat(acknowledge.getAsInt()).isEqualTo(0x28);
        bus.write(0xa0, 1, 0x20);
        bus.write(0x20, 1, 0x20);
        assertThat(high).isTrue();
        assertThat(acknowledge.getAsInt()).isEqualTo(0x2c);
        bus.write(0xa0, 1, 0x0b);
        assertThat(bus.read(0xa0, 1)).isEqualTo(0x10);
    }

    @Test
    void aRequestThatGoesAwayGivesTheSpuriousVector() {
        pics.setInput(3, true);
        IntSupplier pending = acknowledge;
        pics.setInput(3, false);
        assertThat(high).isFalse();
        assertThat(pending.getAsInt()).isEqualTo(0x27);
        bus.write(0x20, 1, 0x0b);
        assertThat(bus.read(0x20, 1)).isZero();
    }

    @Test
    void aLevelTriggeredInputInterruptsAgainAsLongAsItIsHigh() {
        bus.write(0x4d1, 1, 2);
        pics.setInput(9, true);
        assertThat(acknowledge.getAsInt()).isEqualTo(0x29);
        bus.write(0xa0, 1, 0x20);
        bus.write(0x20, 1, 0x20);
        assertThat(high).isTrue();
        pics.setInput(9, false);
        assertThat(high).isFalse();
    }

    @Test
    void maskedInputsWait() {
        bus.write(0x21, 1, 0xff);
        pics.setInput(4, true);
        assertThat(high).isFalse();
        bus.write(0x21, 1, 0);
        assertThat(high).isTrue();
    }

    @Test
    void inputsThatPcsHaveAsEdgesCannotBeMadeLevels() {
        bus.write(0x4d0, 2, 0xffff);
        assertThat(bus.read(0x4d0, 2)).isEqualTo(0xdef8);
    }
}
