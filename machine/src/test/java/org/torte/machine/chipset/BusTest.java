package org.torte.machine.chipset;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;

class BusTest {
    private final byte[] registers = new byte[4];
    private final PortDevice device = new BytePortDevice() {
        @Override
        public int readByte(int offset) {
            return registers[offset];
        }

        @Override
        public void writeByte(int offset, int value) {
            registers[offset] = (byte) value;
        }
    };

    @Test
    void portsWithoutADeviceReadAsOnesAndAccessesAreSplitAtTheEdges() {
        PortBus bus = new PortBus();
        bus.add(0x100, 4, device);
        bus.write(0x102, 4, 0x44332211);
        assertThat(registers).containsExactly(0, 0, 0x11, 0x22);
        assertThat(bus.read(0x102, 4)).isEqualTo(0xffff2211);
        assertThat(bus.read(0xff, 2)).isEqualTo(0x00ff);
        assertThat(bus.read(0x200, 1)).isEqualTo(0xff);
        assertThat(bus.read(0x200, 2)).isEqualTo(0xffff);
        assertThat(bus.read(0xffff, 4)).isEqualTo(-1);
        bus.write(0xffff, 4, 0);
    }

    @Test
    void overlapsAreRefused() {
        PortBus bus = new PortBus();
        bus.add(0x100, 4, device);
        assertThatThrownBy(() -> bus.add(0x103, 1, device)).isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> bus.add(0xffff, 2, device)).isInstanceOf(IllegalArgumentException.class);
        MemoryBus memory = new MemoryBus();
        MemoryDevice wide = new Wide();
        memory.add(0x1000, 0x1000, wide);
        assertThatThrownBy(() -> memory.add(0x1fff, 1, wide)).isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> memory.add(0, 0x1001, wide)).isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> memory.add(-1, 1, wide)).isInstanceOf(IllegalArgumentException.class);
        memory.add(0x2000, 1, wide);
    }

    @Test
    void memoryIsFoundSplitAndOtherwiseOnes() {
        MemoryBus memory = new MemoryBus();
        assertThat(memory.read(0x1000, 8)).isEqualTo(-1);
        memory.add(0x1000, 0x10, new Wide());
        memory.add(0x4000, 0x10, new Wide());
        assertThat(memory.read(0x1008, 8)).isEqualTo(8);
        assertThat(memory.read(0x4001, 2)).isEqualTo(1);
        assertThat(memory.read(0x100c, 8)).isEqualTo(0xffffffff0f0e0d0cL);
        assertThat(memory.read(0x0fff, 2)).isEqualTo(0x00ff);
        assertThat(memory.read(-1, 8)).isEqualTo(-1);
        memory.write(Long.MAX_VALUE, 8, 0);
    }

    /** Reads as the offset. */
    private static final class Wide implements MemoryDevice {
        @Override
        public long read(long offset, int size) {
            return offset;
        }

        @Override
        public void write(long offset, int size, long value) {}
    }
}
