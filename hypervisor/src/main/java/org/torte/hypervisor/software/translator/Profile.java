package org.torte.hypervisor.software.translator;

/**
 * What is known about a block from earlier executions, which decides how its accesses are checked.
 *
 * @param hot whether much time is spent in it, so that its accesses are worth a page of their own ({@link PageSlots})
 * @param restless for each instruction a bit (the first is bit 0): its accesses change pages too often for that
 */
public record Profile(boolean hot, long restless) {
    /** Nothing is known. */
    public static final Profile UNKNOWN = new Profile(false, 0);

    boolean isRestless(int instruction) {
        return (restless >>> instruction & 1) != 0;
    }
}
