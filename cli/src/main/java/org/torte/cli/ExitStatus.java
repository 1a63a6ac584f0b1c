package org.torte.cli;

/** What the command's exit status tells its caller. */
public final class ExitStatus {
    /** Done; the guest powered off. */
    public static final int OK = 0;

    /** Torte itself failed. */
    public static final int INTERNAL = 1;

    /** Wrong usage, or input that cannot be read. */
    public static final int USAGE = 2;

    /** The guest crashed. */
    public static final int CRASHED = 3;

    /** The time given with {@code --timeout} was over. */
    public static final int TIMEOUT = 4;

    /** The machine or its guest refused what {@code torte control} asked. */
    public static final int REFUSED = 5;

    /** Nobody reads the output any more, as after {@code head}: what shells report for SIGPIPE. */
    public static final int UNREAD = 141;

    private ExitStatus() {}
}
