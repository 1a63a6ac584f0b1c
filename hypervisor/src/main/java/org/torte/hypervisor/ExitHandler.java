package org.torte.hypervisor;

/**
 * What a partition asks of the machine around it: everything that is neither processor nor interrupt controller. Called
 * on the thread of the processor that caused the exit, by several processors at once. Sizes are 1, 2 or 4 bytes for
 * ports and 1, 2, 4 or 8 for memory; values are zero-extended. Implementations must not throw because of what a guest
 * does: reads of nothing give all ones, writes to nothing are dropped.
 */
public interface ExitHandler {
    /** IN: the value read from {@code port}. */
    int readPort(int processor, int port, int size);

    /** OUT: {@code value} written to {@code port}. */
    void writePort(int processor, int port, int size, int value);

    /** A read of guest-physical memory that is not RAM. */
    long readMemory(int processor, long address, int size);

    /** A write to guest-physical memory that is not RAM. */
    void writeMemory(int processor, long address, int size, long value);

    /**
     * RDMSR of a register that the back-end does not know.
     *
     * @return whether it exists and may be read now; its value is then in {@code result}. Otherwise the guest gets #GP.
     */
    boolean readMsr(int processor, int index, MsrValue result);

    /**
     * WRMSR to a register that the back-end does not know.
     *
     * @return whether the register took the value. Otherwise the guest gets #GP.
     */
    boolean writeMsr(int processor, int index, long value);

    /** Where {@link #readMsr} leaves its result. */
    final class MsrValue {
        /** The register's value. */
        public long value;
    }
}
