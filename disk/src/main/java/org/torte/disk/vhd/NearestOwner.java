package org.torte.disk.vhd;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.torte.disk.VirtualDisk;

/**
 * For each block of a differencing image the nearest ancestor that has it, so that a long chain costs one step. Parents
 * only ever gain blocks that their children have too (a merge), which leaves the answers right. Safe for use by several
 * threads: a race computes the same answer twice.
 */
final class NearestOwner {
    private final List<VirtualDisk> ancestors = new ArrayList<>();
    private final short[] level;
    private final int blockBytes;

    /** For a chain of images with the same block size; it ends at the first of another kind, which answers for the rest. */
    NearestOwner(VirtualDisk parent, int blocks, int blockBytes) {
        this.blockBytes = blockBytes;
        Optional<VirtualDisk> next = Optional.of(parent);
        while (next.isPresent() && ancestors.size() < Short.MAX_VALUE - 2) {
            VirtualDisk ancestor = next.get();
            ancestors.add(ancestor);
            boolean same = ancestor instanceof DynamicVhd && ancestor.blockSize() == blockBytes;
            next = same ? ancestor.parent() : Optional.empty();
        }
        this.level = new short[blocks];
    }

    /** The ancestor to read this block from, or null when none has it. */
    @Nullable
    VirtualDisk of(int block) {
        int known = level[block];
        if (known == 0) {
            known = find(block) + 1;
            level[block] = (short) known;
        }
        return known > ancestors.size() ? null : ancestors.get(known - 1);
    }

    private int find(int block) {
        for (int i = 0; i < ancestors.size(); i++) {
            // One with other blocks, and one whose parents are not in the list, answer for all that is below them.
            if (!(ancestors.get(i) instanceof DynamicVhd vhd) || vhd.blockSize() != blockBytes || vhd.has(block)) {
                return i;
            }
            if (i == ancestors.size() - 1 && vhd.parent().isPresent()) {
                return i;
            }
        }
        return ancestors.size();
    }
}
