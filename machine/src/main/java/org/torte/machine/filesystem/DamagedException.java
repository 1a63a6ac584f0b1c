package org.torte.machine.filesystem;

/** The content of a disk is not what it should be, or of a kind that is not known; the message says what, in a few words. */
public final class DamagedException extends Exception {
    private static final long serialVersionUID = 1L;

    /** Something that is wrong with the content. */
    public DamagedException(String message) {
        super(message);
    }
}
