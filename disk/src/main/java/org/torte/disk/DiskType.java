package org.torte.disk;

/** How an image uses the space of its file. */
public enum DiskType {
    /** All space is there from the start. */
    FIXED,
    /** Space is allocated when a block is first written. */
    DYNAMIC,
    /** Like {@link #DYNAMIC}; what is not there is read from a parent. */
    DIFFERENCING
}
