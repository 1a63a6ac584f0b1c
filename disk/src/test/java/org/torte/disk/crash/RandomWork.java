package org.torte.disk.crash;

import java.util.List;
import java.util.SplittableRandom;
import java.util.function.IntSupplier;
import org.torte.disk.DiskException;
import org.torte.disk.VirtualDisk;

/**
 * Random requests to a disk, of which a model is told. Every sector that is written gets a tag of its own, so that
 * content of another place or time is recognised.
 */
public final class RandomWork {
    private final VirtualDisk disk;
    private final DiskModel model;
    private final IntSupplier operations;
    private final SplittableRandom random;
    private final int sector;
    private final int block;
    private final int sectorsPerBlock;
    private long tag = 1;

    /** For an open disk whose file the recorder watches. */
    public RandomWork(VirtualDisk disk, DiskModel model, Recorder recorder, SplittableRandom random) {
        this(disk, model, recorder::count, random);
    }

    /**
     * For an open disk.
     *
     * @param operations counts what has been done to the files so far
     */
    public RandomWork(VirtualDisk disk, DiskModel model, IntSupplier operations, SplittableRandom random) {
        this.disk = disk;
        this.model = model;
        this.operations = operations;
        this.random = random;
        this.sector = disk.logicalSectorSize();
        this.block = (int) Math.min(disk.blockSize(), disk.size());
        this.sectorsPerBlock = block / sector;
    }

    /** Fills whole blocks of a parent with tags and tells the model. */
    public static void fillBase(VirtualDisk parent, DiskModel model, int bytes) {
        int sector = parent.logicalSectorSize();
        byte[] content = new byte[bytes];
        for (int s = 0; s < content.length / sector; s++) {
            DiskModel.fill(content, s * sector, sector, 1_000_000 + s);
            model.base(s, 1_000_000 + s);
        }
        parent.write(0, content);
    }

    /** Issues requests: writes from one sector to a whole block, trims, zeros and flushes. */
    public void run(int requests) {
        for (int i = 0; i < requests; i++) {
            int at = random.nextInt((int) (disk.size() / block)) * sectorsPerBlock;
            switch (random.nextInt(10)) {
                case 0, 1, 2, 3 -> {
                    int count = 1 + random.nextInt(random.nextInt(6) == 0 ? sectorsPerBlock : 9);
                    write(at + random.nextInt(sectorsPerBlock - count + 1), count);
                }
                case 4 -> write(at, sectorsPerBlock);
                case 5 -> trim(at, random.nextBoolean() ? sectorsPerBlock : 1 + random.nextInt(sectorsPerBlock - 1));
                case 6 -> zero(at, random.nextBoolean() ? sectorsPerBlock : 1 + random.nextInt(sectorsPerBlock - 1));
                default -> flush();
            }
        }
    }

    /** Gives the first block away and writes one sector of it again, durably, again and again. */
    public void rewriteFirstBlock(int times) {
        for (int i = 0; i < times; i++) {
            trim(0, sectorsPerBlock);
            write(0, 1);
            flush();
        }
    }

    /** Writes sectors with fresh tags. */
    public void write(int first, int count) {
        int now = operations.getAsInt();
        int pending = model.pending();
        byte[] content = new byte[count * sector];
        for (int s = 0; s < count; s++) {
            DiskModel.fill(content, s * sector, sector, tag);
            model.set(first + s, tag++, now, false);
        }
        attempt(pending, () -> disk.write((long) first * sector, content));
    }

    private void attempt(int pending, Runnable change) {
        try {
            change.run();
        } catch (DiskException e) {
            model.failed(pending);
            throw e;
        }
    }

    private void trim(int first, int count) {
        int pending = model.pending();
        change(first, count, true);
        attempt(pending, () -> disk.trim((long) first * sector, (long) count * sector));
    }

    private void zero(int first, int count) {
        int pending = model.pending();
        change(first, count, false);
        attempt(pending, () -> disk.writeZeroes((long) first * sector, (long) count * sector));
    }

    private void change(int first, int count, boolean trim) {
        int now = operations.getAsInt();
        for (int s = 0; s < count; s++) {
            model.set(first + s, 0, now, trim);
        }
    }

    /** Flushes. */
    public void flush() {
        disk.flush();
        model.flushed(operations.getAsInt());
    }

    /** What was done while the disk was open, which was closed since: all of it is durable. */
    public static List<Recorder.Operation> closed(DiskModel model, List<Recorder> recorders) {
        model.flushed(recorders.getFirst().count());
        return recorders.getFirst().operations();
    }
}
