package org.torte.disk;

import java.io.EOFException;
import java.io.IOException;
import org.jspecify.annotations.Nullable;
import org.torte.disk.DiskException.Kind;

/**
 * Turns what a {@link DiskFile} reports into {@link DiskException}s for one open image, and remembers the failure after
 * which nothing may be written any more. Safe for use by several threads.
 */
public final class Faults {
    private final String image;
    private volatile @Nullable DiskException poison;

    /** For the image with this name. */
    public Faults(String image) {
        this.image = image;
    }

    /** A failed transfer, which leaves the disk usable. */
    public DiskException of(IOException e) {
        if (e instanceof DiskFile.NoSpaceException) {
            return new DiskException(
                    Kind.NO_SPACE,
                    image,
                    "the host has no space left (" + e.getMessage() + ")",
                    "make space; what was flushed is intact and the request can be repeated",
                    e);
        }
        if (e instanceof EOFException) {
            return new DiskException(
                    Kind.DAMAGED,
                    image,
                    "the file is shorter than it says (" + e.getMessage() + ")",
                    "copy it again or restore it from a backup",
                    e);
        }
        return new DiskException(
                Kind.INPUT_OUTPUT,
                image,
                "the host could not read or write it (" + e.getMessage() + ")",
                "check the host's storage",
                e);
    }

    /** A failure that leaves unknown what is durable: from now on {@link #check()} throws. */
    public DiskException poison(IOException e) {
        DiskException failure = new DiskException(
                Kind.FAILED,
                image,
                "writes could not be made durable (" + e.getMessage() + ")",
                "check the host's storage, then close the disk and open it again; what was flushed before is intact",
                e);
        poison = failure;
        return failure;
    }

    /** Throws when the image was poisoned. */
    public void check() {
        DiskException failure = poison;
        if (failure != null) {
            throw new DiskException(
                    Kind.FAILED,
                    image,
                    "an earlier failure left unknown what is durable",
                    "close the disk and open it again",
                    failure);
        }
    }

    /** Whether the image was poisoned. */
    public boolean poisoned() {
        return poison != null;
    }
}
