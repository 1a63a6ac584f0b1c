package org.torte.network;

/** What a user or the host can cause. The message is one line with the cause and what to do about it. */
public final class NetworkException extends RuntimeException {
    private static final long serialVersionUID = 1;

    /** Says what went wrong, and what helps. */
    public NetworkException(String message) {
        super(message);
    }

    /** Says what went wrong, and what helps. */
    public NetworkException(String message, Throwable cause) {
        super(message, cause);
    }
}
