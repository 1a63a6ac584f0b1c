package org.torte.disk.operation;

import java.lang.foreign.MemorySegment;
import org.torte.disk.Extent;

/** What content is, for operations that leave zeros out. */
final class Content {
    private Content() {}

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
