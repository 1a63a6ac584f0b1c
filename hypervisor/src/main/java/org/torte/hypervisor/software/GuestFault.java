package org.torte.hypervisor.software;

/**
 * An exception of the guest's processor on its way to delivery (Intel SDM vol. 3, chapter 6). Thrown before the
 * instruction has changed any architectural state; one instance per processor is reused, so it carries no stack trace.
 */
final class GuestFault extends RuntimeException {
    private static final long serialVersionUID = 1L;

    static final int DE = 0, DB = 1, NMI = 2, BP = 3, OF = 4, BR = 5, UD = 6, NM = 7, DF = 8, TS = 10, NP = 11, SS = 12;
    static final int GP = 13, PF = 14, MF = 16, AC = 17, MC = 18, XM = 19;

    /** Vector 0 to 31. */
    int vector;

    /** The error code for the vectors that push one, otherwise 0. */
    int errorCode;

    GuestFault() {
        super(null, null, false, false);
    }

    /** #GP for an address that is not canonical: #SS if the access was to the stack segment. */
    boolean nonCanonical;

    /** Fills the fields and returns this object, to be thrown. */
    GuestFault with(int newVector, int newErrorCode) {
        vector = newVector;
        errorCode = newErrorCode;
        nonCanonical = false;
        return this;
    }

    /** #GP(0) for a linear address that is not canonical. */
    GuestFault withNonCanonical() {
        with(GP, 0);
        nonCanonical = true;
        return this;
    }

    /** Whether this vector pushes an error code. */
    static boolean hasErrorCode(int vector) {
        return vector == DF || vector >= TS && vector <= PF || vector == AC;
    }
}
