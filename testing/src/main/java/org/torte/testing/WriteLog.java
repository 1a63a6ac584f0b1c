package org.torte.testing;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;

/**
 * What was done to a file, in order, its content in a file of its own. From it follow the states in which a loss of power
 * could have left the file: everything before a force is there; of what came later each part is there or not, and a write
 * may be torn between sectors. Whoever records holds the monitor of this object; everything else is for one thread when
 * recording is over, but {@link #count}.
 */
public final class WriteLog implements AutoCloseable {
    private static final int SECTOR = 512;

    private enum Kind {
        WRITE,
        SIZE,
        HOLE,
        FORCE
    }

    /** For a write, {@code at} is where its content lies in the log's file. */
    private record Step(Kind kind, long position, long length, long at) {}

    private final FileChannel content;
    private final List<Step> steps = new ArrayList<>();
    private long contentSize;
    private long lastSize = -1;

    /** Keeps content in a new file. */
    public WriteLog(Path file) throws IOException {
        content = FileChannel.open(
                file, StandardOpenOption.CREATE_NEW, StandardOpenOption.READ, StandardOpenOption.WRITE);
    }

    synchronized void write(long position, MemorySegment bytes) throws IOException {
        steps.add(new Step(Kind.WRITE, position, bytes.byteSize(), contentSize));
        ByteBuffer buffer = bytes.asByteBuffer();
        while (buffer.hasRemaining()) {
            contentSize += content.write(buffer, contentSize);
        }
    }

    synchronized void size(long size) {
        if (size != lastSize) {
            steps.add(new Step(Kind.SIZE, 0, size, 0));
            lastSize = size;
        }
    }

    synchronized void hole(long position, long length) {
        steps.add(new Step(Kind.HOLE, position, length, 0));
    }

    synchronized void force() {
        steps.add(new Step(Kind.FORCE, 0, 0, 0));
    }

    /** How many steps there have been. Safe for several threads. */
    public synchronized int count() {
        return steps.size();
    }

    /** How many of them were forces. */
    public synchronized long forces() {
        return steps.stream().filter(step -> step.kind() == Kind.FORCE).count();
    }

    /** The number of steps that are certainly durable when the power goes after {@code step} steps: up to the last force. */
    public int durable(int step) {
        for (int i = step; i > 0; i--) {
            if (steps.get(i - 1).kind() == Kind.FORCE) {
                return i;
            }
        }
        return 0;
    }

    /** Repeats the steps from {@code from} to {@code to}, which is not included, on a file that is where {@code from} is. */
    public void replay(FileChannel file, int from, int to) throws IOException {
        for (Step step : steps.subList(from, to)) {
            apply(file, step, 0, step.length());
        }
    }

    /**
     * Does to a file, which is where the last force before {@code step} left it, what may have reached the disk of the
     * steps between.
     */
    public void replayInPart(FileChannel file, int step, Random random) throws IOException {
        // All, nothing, or any part: each kind of accident happens.
        int chance = switch (random.nextInt(4)) {
            case 0 -> 0;
            case 1 -> 100;
            default -> 1 + random.nextInt(99);
        };
        for (Step one : steps.subList(durable(step), step)) {
            if (random.nextInt(100) >= chance) {
                continue;
            }
            long sectors = one.length() / SECTOR;
            if (one.kind() == Kind.WRITE && sectors > 1 && random.nextInt(4) == 0) {
                long from = random.nextLong(sectors) * SECTOR;
                apply(file, one, from, from + (1 + random.nextLong(sectors - from / SECTOR)) * SECTOR);
            } else {
                apply(file, one, 0, one.length());
            }
        }
    }

    /** A write only from byte {@code from} to {@code to}. */
    private void apply(FileChannel file, Step step, long from, long to) throws IOException {
        switch (step.kind()) {
            case WRITE -> {
                file.position(step.position() + from);
                long done = from;
                while (done < to) {
                    done += content.transferTo(step.at() + done, to - done, file);
                }
            }
            case SIZE -> {
                if (file.size() > step.length()) {
                    file.truncate(step.length());
                } else if (file.size() < step.length()) {
                    file.write(ByteBuffer.allocate(1), step.length() - 1);
                }
            }
            case HOLE -> {
                byte[] zeros = new byte[(int) Math.min(step.length(), 1 << 20)];
                for (long at = 0; at < step.length(); at += zeros.length) {
                    int count = (int) Math.min(zeros.length, step.length() - at);
                    file.write(ByteBuffer.wrap(zeros, 0, count), step.position() + at);
                }
            }
            case FORCE -> {}
        }
    }

    @Override
    public void close() throws IOException {
        content.close();
    }
}
