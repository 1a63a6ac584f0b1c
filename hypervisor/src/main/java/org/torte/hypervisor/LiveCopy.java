package org.torte.hypervisor;

import java.util.function.IntConsumer;
import java.util.function.LongConsumer;
import org.torte.base.GuestMemory;
import org.torte.base.MemoryReader;
import org.torte.base.MemorySink;

/**
 * Copies the memory of a machine that runs: all of it ({@link #all}), what has been written since in rounds ({@link #rounds}),
 * and the rest when the machine stands ({@link #rest}). Whoever writes guest memory tells the partition, so that nothing is
 * missed.
 *
 * <p>A round copies a part of what waits. When the machine writes more than half as much meanwhile, it is made to run half as
 * fast, and a quarter as fast if it writes more than all of that, again and again until the copying gains on it; at {@link #rest} it has its speed back, and at {@link #close}
 * whatever has happened. The rounds end when little is left, or when they have sent one and a half times the memory, so that
 * all together it is at most three and a half times the memory.
 *
 * <p>For one thread, and one at a time for a machine; that thread is none of the machine's own.
 */
public final class LiveCopy implements AutoCloseable {
    /** So few pages are copied in some milliseconds, which is no worse than what else has to be done then: 8 MiB. */
    static final long FEW = 2048;

    /** The fewest pages that a round takes, if there are so many: 32 MiB, for which a host needs some ten milliseconds. */
    private static final long ROUND = 8192;
    /** A large machine has no more rounds than this in a pass. */
    private static final long ROUNDS_OF_ALL = 64;
    /** What a machine that is not slowed down has, in thousandths. */
    public static final int FULL_SPEED = 1000;

    private static final int LEAST_SPEED = 2;

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
     * @param speed the least that the machine's processors had, in thousandths; {@link #FULL_SPEED} if they were not slowed down
     */
    public record Copied(int rounds, long again, long last, int speed) {}

    private final GuestMemory memory;
    private final Partition partition;
    private final MemoryReader reader;
    private final LongConsumer check;
    private final Progress progress;
    private final IntConsumer brake;
    private final PageBacklog backlog = new PageBacklog();
    private int speed = FULL_SPEED;
    private int rounds;
    private long again;

    /**
     * Begins to notice what is written.
     *
     * @param memory to be copied
     * @param partition whose memory it is; it must not be closed before this is
     * @param sink where it goes
     * @param brake sets how fast the machine's processors run, in thousandths of what they would without
     * @param progress told about it on the calling thread
     */
    public LiveCopy(GuestMemory memory, Partition partition, MemorySink sink, IntConsumer brake, Progress progress) {
        this.memory = memory;
        this.partition = partition;
        reader = new MemoryReader(memory, sink);
        this.brake = brake;
        this.progress = progress;
        check = _ -> progress.advanced(memory.size(), memory.size());
        partition.startDirtyTracking();
    }

    /** Copies all memory. The machine may run. */
    public void all() {
        reader.all(done -> progress.advanced(done, memory.size()));
    }

    /** Copies what was written meanwhile until little is left. The machine may run. */
    public void rounds() {
        long pages = memory.size() / GuestMemory.PAGE_SIZE;
        long round = Math.max(ROUND, pages / ROUNDS_OF_ALL);
        long _ = backlog.add(partition.takeDirtyPages());
        do {
            long copied = reader.pages(backlog.take(round), check);
            rounds++;
            again += copied;
            long written = backlog.add(partition.takeDirtyPages());
            if (backlog.count() > FEW && written > copied / 2 && speed > LEAST_SPEED) {
                speed = Math.max(LEAST_SPEED, speed / (written > copied ? 4 : 2));
                brake.accept(speed);
            }
        } while (backlog.count() > FEW && again < pages + pages / 2);
    }

    /** Copies what is left, when nothing in the machine moves any more. It goes on at its usual speed. */
    public Copied rest() {
        release();
        long _ = backlog.add(partition.takeDirtyPages());
        long last = reader.pages(backlog.take(Long.MAX_VALUE), check);
        return new Copied(rounds, again, last, speed);
    }

    private void release() {
        if (speed < FULL_SPEED) {
            brake.accept(FULL_SPEED);
        }
    }

    /** Notices nothing any more. */
    @Override
    public void close() {
        release();
        partition.stopDirtyTracking();
    }
}
