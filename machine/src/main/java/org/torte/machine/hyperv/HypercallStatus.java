package org.torte.machine.hyperv;

/** How a hypercall ended (TLFS, "HV_STATUS Codes"). */
public enum HypercallStatus {
    /** Done. */
    SUCCESS(0),
    /** There is no such call. */
    INVALID_HYPERCALL_CODE(2),
    /** The control word or the place of the parameters is wrong. */
    INVALID_HYPERCALL_INPUT(3),
    /** Parameters are not aligned, or cross a page. */
    INVALID_ALIGNMENT(4),
    /** A parameter is wrong. */
    INVALID_PARAMETER(5),
    /** The caller may not do this. */
    ACCESS_DENIED(6),
    /** There is no such partition. */
    INVALID_PARTITION_ID(13),
    /** There is no such processor. */
    INVALID_VP_INDEX(14),
    /** There is no such connection. */
    INVALID_CONNECTION_ID(18),
    /** No room for a message just now; the caller tries again. */
    INSUFFICIENT_BUFFERS(19);

    private final int code;

    HypercallStatus(int code) {
        this.code = code;
    }

    /** The number that the guest sees. */
    public int code() {
        return code;
    }
}
