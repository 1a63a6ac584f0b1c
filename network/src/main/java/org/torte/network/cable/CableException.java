package org.torte.network.cable;

/** A cable cannot be laid where a user wants it; the message says why, and what to do about it. */
public final class CableException extends RuntimeException {
    private static final long serialVersionUID = 1;

    /** With a message for users. */
    public CableException(String message) {
        super(message);
    }
}
