package org.torte.disk.vhdx;

import java.io.Serial;

/**
 * What is wrong with the structures of a file, from where it is found to where the name of the image is known and it
 * becomes a {@link org.torte.disk.DiskException}. The message goes on after the name: "its log is damaged".
 */
final class BadImageException extends RuntimeException {
    @Serial
    private static final long serialVersionUID = 1L;

    private final boolean unsupported;

    /** The file contradicts the specification. */
    BadImageException(String problem) {
        this(problem, false);
    }

    private BadImageException(String problem, boolean unsupported) {
        super(problem);
        this.unsupported = unsupported;
    }

    /** The file is valid as far as one can tell, and needs what is unknown here. */
    static BadImageException unsupported(String problem) {
        return new BadImageException(problem, true);
    }

    /** Whether the file may be sound. */
    boolean isUnsupported() {
        return unsupported;
    }

    /** What is wrong. */
    String problem() {
        return String.valueOf(getMessage());
    }
}
