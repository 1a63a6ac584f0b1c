package org.torte.worker.control;

/** A request that failed, with a code for programs and a message for people. */
public final class ControlException extends RuntimeException {
    private static final long serialVersionUID = 1;

    /** Why it failed. */
    public enum Code {
        /** The request makes no sense: no JSON, no such method, a wrong parameter. */
        BAD_REQUEST,
        /** The machine is not in a state for it: paused, ended, without that service. */
        WRONG_STATE,
        /** The guest refuses, or has no driver or daemon for it. */
        GUEST,
        /** The guest has not done it in time. */
        TIMEOUT,
        /** The host cannot: a file is missing, a disk is full. */
        HOST,
        /** Too many requests at once. */
        BUSY,
        /** Whoever asked has said that it is not wanted any more. */
        CANCELLED,
        /** An error of Torte's own. */
        INTERNAL;

        /** As the protocol has it: {@code wrong-state}. */
        public String text() {
            return name().toLowerCase(java.util.Locale.ROOT).replace('_', '-');
        }
    }

    private final Code code;

    /** With a code and a message. */
    public ControlException(Code code, String message) {
        super(message);
        this.code = code;
    }

    /** The code. */
    public Code code() {
        return code;
    }
}
