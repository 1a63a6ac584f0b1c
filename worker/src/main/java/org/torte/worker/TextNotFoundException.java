package org.torte.worker;

/** The guest has not printed what was waited for; the message shows what it printed instead. */
public final class TextNotFoundException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    /** An error with a message for the author of the waiting code. */
    public TextNotFoundException(String message) {
        super(message);
    }
}
