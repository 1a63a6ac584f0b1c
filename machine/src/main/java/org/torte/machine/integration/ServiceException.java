package org.torte.machine.integration;

/** The guest cannot or will not do what it is asked; the message says why and what may help. */
public final class ServiceException extends RuntimeException {
    private static final long serialVersionUID = 1;

    /** With a reason for people. */
    public ServiceException(String message) {
        super(message);
    }
}
