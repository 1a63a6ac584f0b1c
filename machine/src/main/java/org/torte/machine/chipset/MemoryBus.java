package org.torte.machine.chipset;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * Device memory. Any thread may access it, also while devices are added. Addresses without a device read as all ones
 * and swallow what is written.
 */
public final class MemoryBus {
    private record Range(long first, long length, MemoryDevice device) {
        boolean contains(long address, int size) {
            return address >= first && address - first <= length - size;
        }
    }

    /** Sorted by address; replaced as a whole. */
    private volatile Range[] ranges = {};

    /**
     * Gives a device {@code length} bytes from {@code first} on.
     *
     * @throws IllegalArgumentException when the range is empty, wraps, or overlaps another device
     */
    public synchronized void add(long first, long length, MemoryDevice device) {
        if (first < 0 || length < 1 || first > Long.MAX_VALUE - length) {
            throw new IllegalArgumentException("no such addresses: %#x, %#x bytes".formatted(first, length));
        }
        for (Range other : ranges) {
            if (first < other.first + other.length && other.first < first + length) {
                throw new IllegalArgumentException(
                        "%#x, %#x bytes, overlaps the device at %#x".formatted(first, length, other.first));
            }
        }
        Range[] more = Arrays.copyOf(ranges, ranges.length + 1);
        more[ranges.length] = new Range(first, length, device);
        Arrays.sort(more, (a, b) -> Long.compare(a.first, b.first));
        ranges = more;
    }

    /** A load of 1, 2, 4 or 8 bytes. */
    public long read(long address, int size) {
        Range[] now = ranges;
        if (now.length == 0) {
            return ones(size);
        }
        Range range = find(now, address, size);
        if (range != null) {
            return range.device.read(address - range.first, size) & ones(size);
        }
        long value = ones(size);
        for (int i = 0; i < size && size > 1; i++) {
            value &= ~(0xffL << 8 * i) | read(address + i, 1) << 8 * i;
        }
        return value;
    }

    /** A store of 1, 2, 4 or 8 bytes. */
    public void write(long address, int size, long value) {
        Range range = find(ranges, address, size);
        if (range != null) {
            range.device.write(address - range.first, size, value & ones(size));
        } else if (size > 1) {
            for (int i = 0; i < size; i++) {
                write(address + i, 1, value >>> 8 * i);
            }
        }
    }

    private static @Nullable Range find(Range[] sorted, long address, int size) {
        int low = 0;
        int high = sorted.length - 1;
        while (low <= high) {
            int middle = low + high >>> 1;
            Range range = sorted[middle];
            if (address < range.first) {
                high = middle - 1;
            } else if (address - range.first >= range.length) {
                low = middle + 1;
            } else {
                return range.contains(address, size) ? range : null;
            }
        }
        return null;
    }

    private static long ones(int size) {
        return -1L >>> 64 - 8 * size;
    }
}
