package org.torte.hypervisor;

/** A back-end cannot do what was asked; the message names the cause and the remedy. */
public final class HypervisorException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    /** An error with a message for users. */
    public HypervisorException(String message) {
        super(message);
    }
}
