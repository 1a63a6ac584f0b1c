package org.torte.disk;

/**
 * A run of a disk whose content comes from one kind of place.
 *
 * @param offset where it starts, in bytes
 * @param length its length in bytes, more than 0
 * @param kind where the content is
 */
public record Extent(long offset, long length, Kind kind) {
    /** Where the content of a run is. */
    public enum Kind {
        /** In this image. */
        MAPPED,
        /** Zeros, without space in the file. */
        ZERO,
        /** Never written or trimmed: reads as zeros, and the content does not matter. */
        UNMAPPED,
        /** In the parent. */
        PARENT
    }

    /** The first byte after the run. */
    public long end() {
        return offset + length;
    }
}
