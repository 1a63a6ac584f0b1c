package org.torte.hypervisor.x86;

/** Where a {@link Decoder} reads the bytes of one instruction. */
@FunctionalInterface
public interface CodeSource {
    /**
     * One byte of the instruction.
     *
     * @param offset distance from the instruction's first byte, 0 to 14; asked for in ascending order, each once, and
     *     never a byte that the processor would not have needed to know
     * @return 0 to 255
     * @throws RuntimeException whatever the guest gets for fetching there (a page fault); the decoder lets it pass
     */
    int fetch(int offset);
}
