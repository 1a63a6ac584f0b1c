package org.torte.worker;

import java.nio.file.AccessDeniedException;
import java.nio.file.NoSuchFileException;

/** What the host says of files, in words for users. */
final class HostError {
    private HostError() {}

    /** Why it failed. */
    static String cause(Exception e) {
        Throwable origin = e.getCause() == null ? e : e.getCause();
        return switch (origin) {
            case NoSuchFileException _ -> "no such folder";
            case AccessDeniedException _ -> "permission denied";
            default -> origin.getMessage() == null ? origin.getClass().getSimpleName() : origin.getMessage();
        };
    }
}
