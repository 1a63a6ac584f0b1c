package org.torte.hypervisor.software;

import java.util.concurrent.atomic.AtomicReferenceArray;
import org.jspecify.annotations.Nullable;

/**
 * Decoded blocks of one partition by guest-physical page, shared by its processors. A page that holds blocks has its
 * write tags withheld, so every store to it comes by {@link PhysicalMemory#written}. Safe for several threads: look-ups
 * take no lock, changes lock their page.
 */
final class CodeCache {
    private static final int CHUNK_BITS = 10;

    private final AtomicReferenceArray<@Nullable AtomicReferenceArray<@Nullable CodePage>> chunks;

    CodeCache(long top) {
        chunks = new AtomicReferenceArray<>((int) (top - 1 >>> 12 + CHUNK_BITS) + 1);
    }

    /** Whether blocks were decoded from the page of this RAM address. */
    boolean holdsCode(long address) {
        CodePage page = find(address);
        return page != null && page.isActive();
    }

    /** The page of this RAM address, or null when no code has run there. */
    @Nullable
    CodePage find(long address) {
        AtomicReferenceArray<@Nullable CodePage> chunk = chunks.get((int) (address >>> 12 + CHUNK_BITS));
        return chunk == null ? null : chunk.get((int) (address >>> 12) & (1 << CHUNK_BITS) - 1);
    }

    /** The page of this RAM address, made if needed. */
    CodePage page(long address) {
        int outer = (int) (address >>> 12 + CHUNK_BITS);
        AtomicReferenceArray<@Nullable CodePage> chunk = chunks.get(outer);
        if (chunk == null) {
            AtomicReferenceArray<@Nullable CodePage> fresh = new AtomicReferenceArray<>(1 << CHUNK_BITS);
            AtomicReferenceArray<@Nullable CodePage> witness = chunks.compareAndExchange(outer, null, fresh);
            chunk = witness == null ? fresh : witness;
        }
        int inner = (int) (address >>> 12) & (1 << CHUNK_BITS) - 1;
        CodePage page = chunk.get(inner);
        if (page == null) {
            CodePage fresh = new CodePage();
            CodePage witness = chunk.compareAndExchange(inner, null, fresh);
            page = witness == null ? fresh : witness;
        }
        return page;
    }

    /** Drops all blocks. Only while no processor runs. */
    void clear() {
        for (int i = 0; i < chunks.length(); i++) {
            AtomicReferenceArray<@Nullable CodePage> chunk = chunks.get(i);
            for (int j = 0; chunk != null && j < chunk.length(); j++) {
                CodePage page = chunk.get(j);
                if (page != null) {
                    page.invalidate(0, 0xfff);
                }
            }
        }
    }

    /** Drops the blocks that hold any byte from {@code from} to before {@code to}, both in one page. */
    void invalidate(long from, long to) {
        CodePage page = find(from);
        if (page != null) {
            page.invalidate((int) from & 0xfff, (int) (to - 1) & 0xfff);
        }
    }
}
