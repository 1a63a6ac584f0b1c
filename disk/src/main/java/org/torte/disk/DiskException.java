package org.torte.disk;

import org.jspecify.annotations.Nullable;

/**
 * The one error of this module: what is wrong with which image, and the way out. Messages are for users; programs look
 * at {@link #kind()}.
 */
public final class DiskException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    /** What went wrong, for programs. */
    public enum Kind {
        /** There is no such file. */
        NOT_FOUND,
        /** The file to be made is there already. */
        EXISTS,
        /** The path lies outside the allowed folders, or the host refuses access. */
        DENIED,
        /** Somebody else has the image open in a way that excludes this use. */
        IN_USE,
        /** The image contradicts its specification. */
        DAMAGED,
        /** The image is valid but needs something this software does not do. */
        UNSUPPORTED,
        /** The host has no space left; what was flushed before is intact, and the request may be repeated. */
        NO_SPACE,
        /** The host reported an input/output error. */
        INPUT_OUTPUT,
        /** A write to a disk opened for reading. */
        READ_ONLY,
        /** The parent of a differencing disk cannot be found. */
        PARENT_MISSING,
        /** The parent of a differencing disk was modified after the child was made. */
        PARENT_CHANGED,
        /** A chain of parents leads back to itself. */
        PARENT_CYCLE,
        /** An earlier failure left the durable state unknown; the disk must be closed and opened again. */
        FAILED,
        /** The disk is closed. */
        CLOSED,
        /** A parameter that no image could satisfy, such as a size that is not a multiple of the sector size. */
        INVALID,
        /** The operation was cancelled by its caller. */
        CANCELLED
    }

    private final Kind kind;
    private final String image;
    private final String problem;
    private final String remedy;

    /**
     * An error about one image.
     *
     * @param image the path or name of the image
     * @param problem what is wrong
     * @param remedy what the reader can do about it
     */
    public DiskException(Kind kind, String image, String problem, String remedy) {
        this(kind, image, problem, remedy, null);
    }

    /** As above, with the exception that caused it. */
    public DiskException(Kind kind, String image, String problem, String remedy, @Nullable Throwable cause) {
        super(image + ": " + problem + "; " + remedy, cause);
        this.kind = kind;
        this.image = image;
        this.problem = problem;
        this.remedy = remedy;
    }

    /** The same error, told of another name of the image, such as the one it was to get when it is complete. */
    public DiskException about(String other) {
        return new DiskException(kind, other, problem, remedy, this);
    }

    /** What went wrong. */
    public Kind kind() {
        return kind;
    }

    /** The path or name of the image this is about. */
    public String image() {
        return image;
    }
}
