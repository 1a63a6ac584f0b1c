package org.torte.machine.filesystem;

/** Where the blocks of a file are. */
interface BlockMap {
    /** The place of blocks that are nowhere and read as zeros. */
    long HOLE = -1;

    /**
     * Consecutive blocks of a file that are consecutive on the disk.
     *
     * @param logical the first one's number in the file
     * @param length how many, at least 1
     * @param physical the first one's place, or {@link #HOLE}
     */
    record Run(long logical, long length, long physical) {}

    /** A run with the block {@code logical} of the file, as long as it is easily known to be. */
    Run find(long logical) throws DamagedException;
}
