package org.torte.disk;

/** How an image is opened. */
public enum DiskAccess {
    /** Reading and writing; excludes every other {@link #READ_ONLY} and {@link #READ_WRITE} opener of the file. */
    READ_WRITE,
    /** Reading, shared with other readers; excludes writers. Never modifies the file, not even to replay a log. */
    READ_ONLY,
    /**
     * Reading, with the same lock as {@link #READ_ONLY}, through a descriptor that may write once
     * {@link DiskFile#relock} has made the lock that of {@link #READ_WRITE}: a parent that a merge is about to change
     * while its readers stay.
     */
    UPGRADABLE,
    /**
     * Looking at an image that another process may be writing, for its metadata: takes no lock and excludes nobody. What
     * it reads may be out of date, and a log that is being written may look damaged.
     */
    INSPECT
}
