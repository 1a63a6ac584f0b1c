package org.torte.machine.boot;

import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.torte.base.GuestMemory;
import org.torte.machine.BootTarget;
import org.torte.machine.MemoryRange;

/**
 * Gives out usable RAM to the things a loader places, so that none of them overlap or leave RAM, and writes them there.
 * For one thread.
 */
final class RamLayout {
    /**
     * A range of guest memory.
     *
     * @param address first guest-physical address
     * @param length bytes
     * @param purpose what it holds
     */
    record Range(long address, long length, String purpose) {
        /** The first address after this range. */
        long end() {
            return address + length;
        }
    }

    private final GuestMemory memory;
    private final List<MemoryRange> usable = new ArrayList<>();
    private final List<Range> taken = new ArrayList<>();

    RamLayout(BootTarget target) {
        memory = target.memory();
        for (MemoryRange region : target.memoryMap()) {
            if (region.kind() != MemoryRange.Kind.RAM) {
                continue;
            }
            if (!memory.contains(region.address(), region.length())) {
                throw new IllegalArgumentException("the memory map calls usable what is not RAM: " + region);
            }
            usable.add(region);
        }
    }

    GuestMemory memory() {
        return memory;
    }

    /** The address after the highest usable RAM below {@code limit}. */
    long usableEnd(long limit) {
        long end = 0;
        for (MemoryRange region : usable) {
            if (region.address() < limit) {
                end = Math.max(end, Math.min(region.end(), limit));
            }
        }
        return end;
    }

    /** Takes exactly this range. */
    void claim(long address, long length, String purpose) {
        if (length <= 0) {
            return;
        }
        if (address < 0 || address + length < 0 || !isUsable(address, length)) {
            throw new BootException(purpose + " needs guest memory 0x" + Long.toHexString(address) + " to 0x"
                    + Long.toHexString(address + length - 1)
                    + ", which is not usable RAM of this machine; give it more with --memory, or use another kernel");
        }
        Range range = new Range(address, length, purpose);
        for (Range other : taken) {
            if (address < other.end() && other.address() < range.end()) {
                throw new BootException(purpose + " overlaps " + other.purpose() + " at guest memory 0x"
                        + Long.toHexString(Math.max(address, other.address()))
                        + "; the kernel image is damaged or needs a machine with more --memory");
            }
        }
        taken.add(range);
    }

    /**
     * Takes the highest free range.
     *
     * @param alignment a power of two
     * @param limit the range ends at or below this address
     */
    long claimHigh(long length, long alignment, long limit, String purpose) {
        List<MemoryRange> descending = new ArrayList<>(usable);
        descending.sort(Comparator.comparingLong(MemoryRange::address).reversed());
        for (MemoryRange region : descending) {
            long end = Math.min(region.end(), limit);
            while (end - length >= region.address()) {
                long address = end - length & -alignment;
                if (address < region.address()) {
                    break;
                }
                Range obstacle = obstacle(address, length);
                if (obstacle == null) {
                    taken.add(new Range(address, length, purpose));
                    return address;
                }
                end = obstacle.address();
            }
        }
        throw tooSmall(length, purpose);
    }

    /**
     * Takes the lowest free range.
     *
     * @param alignment a power of two
     * @param from the range begins at or above this address
     */
    long claimLow(long length, long alignment, long from, String purpose) {
        for (MemoryRange region : usable) {
            long start = Math.max(region.address(), from);
            while (true) {
                long address = start + alignment - 1 & -alignment;
                if (address < start || region.end() - address < length) {
                    break;
                }
                Range obstacle = obstacle(address, length);
                if (obstacle == null) {
                    taken.add(new Range(address, length, purpose));
                    return address;
                }
                start = obstacle.end();
            }
        }
        throw tooSmall(length, purpose);
    }

    /** Copies bytes to a range that was taken before. */
    void put(long address, MemorySegment bytes) {
        MemorySegment.copy(bytes, 0, memory.segment(), address, bytes.byteSize());
    }

    /** Clears a range that was taken before. */
    void clear(long address, long length) {
        memory.segment().asSlice(address, length).fill((byte) 0);
    }

    /** Takes low memory for a string, and writes it with its terminating zero. */
    long putString(String text, long from, String purpose) {
        byte[] bytes = (text + '\0').getBytes(StandardCharsets.UTF_8);
        long address = claimLow(bytes.length, 16, from, purpose);
        put(address, MemorySegment.ofArray(bytes));
        return address;
    }

    /** Takes high memory for a file and reads it there; gives its range. */
    Range putFile(BootFile file, String role, long limit) {
        try (BootFile.Content content = file.open(role, memory.size())) {
            long address = claimHigh(content.size(), GuestMemory.PAGE_SIZE, limit, "the " + role + " " + file.name());
            content.readTo(memory.segment().asSlice(address, content.size()));
            return taken.getLast();
        }
    }

    private boolean isUsable(long address, long length) {
        for (MemoryRange region : usable) {
            if (address >= region.address() && address <= region.end() && length <= region.end() - address) {
                return true;
            }
        }
        return false;
    }

    private @Nullable Range obstacle(long address, long length) {
        for (Range other : taken) {
            if (address < other.end() && other.address() < address + length) {
                return other;
            }
        }
        return null;
    }

    private BootException tooSmall(long length, String purpose) {
        return new BootException("the machine's " + (memory.size() >> 20) + " MiB of memory have no room for " + purpose
                + " (" + length + " bytes); give it more with --memory");
    }
}
