package org.torte.base;

/** Where pages of guest memory go: a file, another host. What comes later of a page is in place of what came before. */
public interface MemorySink {
    /**
     * Takes pages.
     *
     * @param address of the first one, a multiple of {@link GuestMemory#PAGE_SIZE}
     * @param bytes what they hold; the array is the caller's again afterwards
     * @param length in bytes: 1 to {@link MemoryReader#MOST_PAGES} whole pages of one bank
     */
    void pages(long address, byte[] bytes, int length);

    /**
     * Takes that pages are zero. Those of which nothing has come are, too.
     *
     * @param address of the first one, a multiple of {@link GuestMemory#PAGE_SIZE}
     * @param length in bytes: whole pages of one bank
     */
    void zeroes(long address, long length);
}
