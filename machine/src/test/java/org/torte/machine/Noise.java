package org.torte.machine;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.zip.CRC32C;
import org.torte.base.ManualClock;
import org.torte.base.RandomSource;
import org.torte.hypervisor.ExitHandler;

/** Random accesses and random damage, from a seed. */
final class Noise {
    private static final int[] PORTS = {
        0x20, 0x21, 0xa0, 0xa1, 0x4d0, 0x4d1, 0x40, 0x41, 0x42, 0x43, 0x60, 0x61, 0x64, 0x70, 0x71, 0x80, 0x92, 0x3f8,
        0x3f9, 0x3fa, 0x3fb, 0x3fc, 0x3fd, 0x3fe, 0x3ff, 0x2f8, 0x400, 0x402, 0x404, 0x408, 0x420, 0x424, 0xcf9, 0xec,
        0xed
    };

    private Noise() {}

    private static int below(RandomSource random, int bound) {
        return (int) Long.remainderUnsigned(random.nextLong(), bound);
    }

    /** Every port, every register, every size, from time to time an hour later. */
    static void everywhere(ExitHandler handler, RandomSource random, int count, ManualClock clock) {
        ExitHandler.MsrValue value = new ExitHandler.MsrValue();
        for (int i = 0; i < count; i++) {
            int port = below(random, 4) == 0 ? below(random, 0x10000) : PORTS[below(random, PORTS.length)];
            int size = 1 << below(random, 3);
            switch (below(random, 12)) {
                case 0, 1, 2 -> handler.readPort(0, port, size);
                case 3, 4, 5, 6 -> handler.writePort(0, port, size, (int) random.nextLong() & -1 >>> 32 - 8 * size);
                case 7 -> handler.readMsr(0, msr(random), value);
                case 8 -> handler.writeMsr(0, msr(random), random.nextLong() >>> below(random, 64));
                case 9 -> handler.readMemory(0, random.nextLong() >>> below(random, 64), 1 << below(random, 4));
                case 10 ->
                    handler.writeMemory(
                            0, random.nextLong() >>> below(random, 64), 1 << below(random, 4), random.nextLong());
                default -> clock.advance(random.nextLong() >>> 22 + below(random, 42));
            }
        }
    }

    private static int msr(RandomSource random) {
        return below(random, 4) == 0 ? (int) random.nextLong() : 0x4000_0000 + below(random, 0x120);
    }

    /** The same without what resets the machine or turns it off. */
    static void harmless(ExitHandler handler, RandomSource random, int count, ManualClock clock) {
        everywhere(
                new ExitHandler() {
                    @Override
                    public int readPort(int processor, int port, int size) {
                        return handler.readPort(processor, port, size);
                    }

                    @Override
                    public void writePort(int processor, int port, int size, int value) {
                        for (int i = port; i < port + size; i++) {
                            if (i == 0xcf9 || i == 0x92 || i == 0x64 || i == 0x404 || i == 0x405) {
                                return;
                            }
                        }
                        handler.writePort(processor, port, size, value);
                    }

                    @Override
                    public long readMemory(int processor, long address, int size) {
                        return handler.readMemory(processor, address, size);
                    }

                    @Override
                    public void writeMemory(int processor, long address, int size, long value) {
                        handler.writeMemory(processor, address, size, value);
                    }

                    @Override
                    public boolean readMsr(int processor, int index, MsrValue result) {
                        return handler.readMsr(processor, index, result);
                    }

                    @Override
                    public boolean writeMsr(int processor, int index, long value) {
                        return index != 0x4000_0003 && handler.writeMsr(processor, index, value);
                    }
                },
                random,
                count,
                clock);
    }

    /** Damages bytes in the bodies of sections of a saved machine and puts the checksums right. */
    static byte[] damageBodies(byte[] container, RandomSource random) {
        byte[] damaged = container.clone();
        ByteBuffer bytes = ByteBuffer.wrap(damaged).order(ByteOrder.LITTLE_ENDIAN);
        int at = 16;
        int number = 0;
        while (at < damaged.length) {
            int nameLength = bytes.getInt(at + 12);
            int bodyLength = (int) bytes.getLong(at + 16);
            int body = at + 24 + nameLength;
            String name = new String(damaged, at + 24, nameLength, java.nio.charset.StandardCharsets.UTF_8);
            boolean device = name.startsWith("machine.");
            if (device && number++ % 3 == below(random, 3)) {
                for (int i = 0; i < 1 + below(random, 4) && bodyLength > 0; i++) {
                    damaged[body + below(random, bodyLength)] = (byte) random.nextLong();
                }
                CRC32C sum = new CRC32C();
                sum.update(damaged, at, 24 + nameLength + bodyLength);
                bytes.putInt(body + bodyLength, (int) sum.getValue());
            }
            at = body + bodyLength + 4;
        }
        return damaged;
    }
}
