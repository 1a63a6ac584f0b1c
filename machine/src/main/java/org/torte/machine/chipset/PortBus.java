package org.torte.machine.chipset;

import java.util.ArrayList;
import java.util.List;

/**
 * The I/O ports. Devices are put on it before the machine runs; then any thread may access it. Ports without a device
 * read as all ones and swallow what is written.
 */
public final class PortBus {
    private record Range(int first, int count, PortDevice device) {}

    private static final int PORTS = 0x10000;

    /** For each port the number of its range, counted from 1; 0 for none. */
    private final char[] map = new char[PORTS];

    private final List<Range> ranges = new ArrayList<>();

    /**
     * Gives a device {@code count} ports from {@code first} on.
     *
     * @throws IllegalArgumentException when there are no such ports or some have a device
     */
    public void add(int first, int count, PortDevice device) {
        if (first < 0 || count < 1 || first > PORTS - count) {
            throw new IllegalArgumentException("no such ports: %#x, %d".formatted(first, count));
        }
        for (int port = first; port < first + count; port++) {
            if (map[port] != 0) {
                throw new IllegalArgumentException("port %#x has a device already".formatted(port));
            }
        }
        ranges.add(new Range(first, count, device));
        for (int port = first; port < first + count; port++) {
            map[port] = (char) ranges.size();
        }
    }

    /** IN of 1, 2 or 4 bytes. */
    public int read(int port, int size) {
        Range range = find(port);
        if (range != null && port + size <= range.first + range.count) {
            return range.device.read(port - range.first, size) & ones(size);
        }
        if (size == 1 || range == null && find(port + size - 1) == null && size == 2) {
            return ones(size);
        }
        int value = 0;
        for (int i = 0; i < size; i++) {
            value |= read(port + i, 1) << 8 * i;
        }
        return value;
    }

    /** OUT of 1, 2 or 4 bytes. */
    public void write(int port, int size, int value) {
        Range range = find(port);
        if (range != null && port + size <= range.first + range.count) {
            range.device.write(port - range.first, size, value & ones(size));
        } else if (size > 1) {
            for (int i = 0; i < size; i++) {
                write(port + i, 1, value >>> 8 * i);
            }
        }
    }

    private @org.jspecify.annotations.Nullable Range find(int port) {
        int number = port >= 0 && port < PORTS ? map[port] : 0;
        return number == 0 ? null : ranges.get(number - 1);
    }

    private static int ones(int size) {
        return -1 >>> 32 - 8 * size;
    }
}
