package org.torte.management.memory;

import org.jspecify.annotations.Nullable;

/**
 * What a guest with dynamic memory has, in bytes.
 *
 * @param assigned what it has
 * @param wanted what it is to have
 * @param demand what it needs by its own words, if it has told
 */
public record MemoryUse(
        long assigned, long wanted, @Nullable Long demand) {
    /** What a worker has just said. */
    public static MemoryUse of(MemoryReport report) {
        return new MemoryUse(report.assigned(), report.wanted(), report.told() ? report.demand() : null);
    }
}
