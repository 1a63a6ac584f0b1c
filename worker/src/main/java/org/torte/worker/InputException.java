package org.torte.worker;

/** What the user asked for cannot be had; the message names the cause and the remedy and fits on one line. */
public final class InputException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    /** An error with a message for users. */
    public InputException(String message) {
        super(message);
    }
}
