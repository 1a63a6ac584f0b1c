package org.torte.machine.boot;

/** A kernel or module cannot be loaded; the message is for users and names the cause and the remedy. */
public final class BootException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    /** An error with a message for users. */
    public BootException(String message) {
        super(message);
    }
}
