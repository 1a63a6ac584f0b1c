package org.torte.base;

/** Saved state that cannot be loaded; the message names the cause and the remedy. */
public final class StateException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    /** An error with a message for users. */
    public StateException(String message) {
        super(message);
    }
}
