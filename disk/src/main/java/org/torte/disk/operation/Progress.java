package org.torte.disk.operation;

import org.torte.disk.DiskException;
import org.torte.disk.DiskException.Kind;

/** Watches a long operation and may end it. Called by the thread that runs the operation. */
public interface Progress {
    /** Nobody watches. */
    Progress NONE = (_, _) -> true;

    /**
     * Called every few megabytes.
     *
     * @param done bytes done
     * @param total bytes there are to do
     * @return whether to go on; false ends the operation with CANCELLED
     */
    boolean advanced(long done, long total);

    /** Reports, and throws when the operation is to end. */
    default void step(String image, long done, long total) {
        if (!advanced(done, total)) {
            throw cancelled(image);
        }
    }

    /** What an operation throws that was told to end. */
    static DiskException cancelled(String image) {
        return new DiskException(Kind.CANCELLED, image, "cancelled", "run the command again");
    }
}
