package org.torte.hypervisor;

import java.util.function.LongConsumer;
import org.torte.base.GuestMemory;
import org.torte.base.MemoryReader;
import org.torte.base.MemorySink;

/**
 * Copies the memory of a machine that runs: all of it ({@link #all}), what has been written since in rounds ({@link #rounds}),
 * and the rest when the machine stands ({@link #rest}). Whoever writes guest memory tells the partition, so that nothing is
 * missed. The rounds end when little is left, when they do not help, or when they have sent half as much as the machine has
 * memory, so that all together it is at most two and a half times the memory.
 *
 * <p>For one thread, and one at a time for a machine; that thread is none of the machine's own.
 */
public final class LiveCopy implements AutoCloseable {
    /** So few pages are copied in some milliseconds, which is no worse than what else has to be done then: 8 MiB. */
    static final long FEW = 2048;

    private static final int MOST_ROUNDS = 16;
    /** Rounds in turn that may leave hardly less than the one before. */
    private static final int MOST_STALLS = 2;

    /** What may throw, to end the copying, and hears how far it is. */
    @FunctionalInterface
    public interface Progress {
        /**
         * How far it is now.
         *
         * @param done bytes of the first pass that are behind it
         * @param total bytes of RAM
         */
        void advanced(long done, long total);
    }

    /**
     * What was copied, in pages of 4096 bytes.
     *
     * @param rounds after the first pass, before the last
     * @param again pages in these rounds
     * @param last pages while the machine stood
     */
    public record Copied(int rounds, long again, long last) {}

    private final GuestMemory memory;
    private final Partition partition;
    private final MemoryReader reader;
    private final LongConsumer check;
    private final Progress progress;
    private int rounds;
    private long again;

    /**
     * Begins to notice what is written.
     *
     * @param memory to be copied
     * @param partition whose memory it is; it must not be closed before this is
     * @param sink where it goes
     * @param progress told about it on the calling thread
     */
    public LiveCopy(GuestMemory memory, Partition partition, MemorySink sink, Progress progress) {
        this.memory = memory;
        this.partition = partition;
        reader = new MemoryReader(memory, sink);
        this.progress = progress;
        check = _ -> progress.advanced(memory.size(), memory.size());
        partition.startDirtyTracking();
    }

    /** Copies all memory. The machine may run. */
    public void all() {
        reader.all(done -> progress.advanced(done, memory.size()));
    }

    /** Copies what was written meanwhile until little is left or it does not help. The machine may run. */
    public void rounds() {
        long before = Long.MAX_VALUE;
        int stalls = 0;
        while (rounds < MOST_ROUNDS && stalls < MOST_STALLS && again < memory.size() / GuestMemory.PAGE_SIZE / 2) {
            long pages = reader.pages(partition.takeDirtyPages(), check);
            rounds++;
            again += pages;
            if (pages <= FEW) {
                return;
            }
            stalls = pages > before - before / 4 ? stalls + 1 : 0;
            before = pages;
        }
    }

    /** Copies what is left, when nothing in the machine moves any more. */
    public Copied rest() {
        long last = reader.pages(partition.takeDirtyPages(), check);
        return new Copied(rounds, again, last);
    }

    /** Notices nothing any more. */
    @Override
    public void close() {
        partition.stopDirtyTracking();
    }
}
