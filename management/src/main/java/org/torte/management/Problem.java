package org.torte.management;

import java.io.Serial;

/**
 * What a caller of the service can cause or has to know: one sentence that names the cause, one that says what to do.
 * This is the only exception that the service shows to its callers.
 */
public final class Problem extends RuntimeException {
    @Serial
    private static final long serialVersionUID = 1;

    /** What kind of problem; its name in lower case, with dashes, is part of the interface. */
    public enum Kind {
        /** The request is not understood, or asks for what cannot be. */
        INVALID,
        /** No token, or not one of this service. */
        UNAUTHENTICATED,
        /** The token's role does not include this. */
        FORBIDDEN,
        /** There is no such thing. */
        NOT_FOUND,
        /** There is one already. */
        EXISTS,
        /** Not in the state that it is in now, or somebody else is at it. */
        CONFLICT,
        /** It has changed since the caller looked. */
        CHANGED,
        /** The host lacks what it takes: space, memory, permission. */
        UNAVAILABLE,
        /** The virtual machine, its worker or its guest failed to do it. */
        FAILED,
        /** It took longer than it may. */
        TIMEOUT,
        /** The caller, or another, stopped it. */
        CANCELLED
    }

    private final Kind kind;
    private final String what;
    private final String remedy;

    /**
     * A problem.
     *
     * @param cause what is wrong, without a full stop
     * @param remedy what the caller can do, without a full stop
     */
    public Problem(Kind kind, String cause, String remedy) {
        super(cause + "; " + remedy);
        this.kind = kind;
        what = cause;
        this.remedy = remedy;
    }

    /** The same with what led to it, for the log. */
    public Problem(Kind kind, String cause, String remedy, Throwable reason) {
        super(cause + "; " + remedy, reason);
        this.kind = kind;
        what = cause;
        this.remedy = remedy;
    }

    /** What kind. */
    public Kind kind() {
        return kind;
    }

    /** What is wrong. */
    public String cause() {
        return what;
    }

    /** What to do. */
    public String remedy() {
        return remedy;
    }

    /** Both in one line. */
    public String line() {
        return String.valueOf(getMessage());
    }
}
