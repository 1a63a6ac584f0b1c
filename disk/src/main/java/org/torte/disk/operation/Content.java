package org.torte.disk.operation;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.torte.disk.Extent;
import org.torte.disk.VirtualDisk;

/** Where the content of a disk is, seen through all of its chain. */
final class Content {
    private final List<VirtualDisk> chain = new ArrayList<>();

    Content(VirtualDisk disk) {
        for (Optional<VirtualDisk> next = Optional.of(disk);
                next.isPresent();
                next = next.get().parent()) {
            chain.add(next.get());
        }
    }

    /** The run at {@code offset}: MAPPED when some image of the chain holds it, otherwise zeros. */
    Extent extent(long offset, long length) {
        long left = length;
        for (VirtualDisk disk : chain) {
            if (offset >= disk.size()) {
                break;
            }
            Extent extent = disk.extent(offset, Math.min(left, disk.size() - offset));
            if (extent.kind() != Extent.Kind.PARENT) {
                return extent;
            }
            left = extent.length();
        }
        return new Extent(offset, left, Extent.Kind.ZERO);
    }

    /** Whether a range may hold anything but zeros. */
    static boolean mapped(Extent extent) {
        return extent.kind() == Extent.Kind.MAPPED;
    }

    /** Whether {@code length} bytes, a multiple of 8, are all zero. */
    static boolean zero(MemorySegment memory, long at, long length) {
        MemorySegment part = memory.asSlice(at, length);
        // Most content differs in its first bytes; comparing the rest with itself, shifted, is one intrinsic.
        return part.get(java.lang.foreign.ValueLayout.JAVA_LONG_UNALIGNED, 0) == 0
                && part.asSlice(0, length - 8).mismatch(part.asSlice(8)) < 0;
    }
}
