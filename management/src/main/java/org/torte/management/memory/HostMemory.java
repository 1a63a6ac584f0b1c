package org.torte.management.memory;

/** What a host says of its memory. Safe for several threads. */
public interface HostMemory {
    /** What programs can have in all, in bytes: the host's RAM, or the limit of the service's control group. */
    long total();

    /**
     * What programs can still have without others being moved out, in bytes; {@link Long#MAX_VALUE} when the host does not
     * tell.
     */
    long available();

    /** What a worker's process takes; nothing if it is gone. */
    Resident of(long processId);

    /**
     * Memory of a process that is there, in bytes.
     *
     * @param guest what its guest has touched
     * @param own what it has for itself
     */
    record Resident(long guest, long own) {
        /** None. */
        public static final Resident NONE = new Resident(0, 0);
    }
}
