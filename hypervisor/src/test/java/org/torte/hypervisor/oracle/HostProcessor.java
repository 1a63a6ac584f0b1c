package org.torte.hypervisor.oracle;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_LONG_UNALIGNED;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Locale;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/**
 * The processor of this machine as a judge of user-mode instructions: a child process that runs batches of cases from
 * shared memory, so that nothing a case does can harm the tests. Several can run at a time, each for one thread.
 */
public final class HostProcessor implements AutoCloseable {
    private static final long LIFETIME_SECONDS = 3600;

    private final int capacity;
    private final Path folder;
    private final Arena arena = Arena.ofShared();
    private final MemorySegment shared;
    private final Process process;

    /**
     * Starts the child.
     *
     * @param capacity most cases of a batch
     */
    public HostProcessor(int capacity) throws IOException {
        this.capacity = capacity;
        folder = Files.createTempDirectory("torte-oracle");
        long size = HostProgram.RECORDS + (long) capacity * CaseRecord.SIZE;
        Path file = folder.resolve("cases");
        try (FileChannel channel = FileChannel.open(
                file, StandardOpenOption.CREATE_NEW, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
            shared = channel.map(FileChannel.MapMode.READ_WRITE, 0, size, arena);
        }
        shared.asSlice(HostProgram.CODE_PAGES, HostProgram.DATA_PAGES - HostProgram.CODE_PAGES)
                .fill((byte) 0xCC);
        for (int i = 0; i < 0x1000; i++) {
            shared.set(JAVA_BYTE, HostProgram.CONSTANTS + i, AddressSpace.constant(i));
        }
        process = start(HostProgram.elf(size, HostFeatures.userMayReadBases()), folder.resolve("processor"), file);
        CompletableFuture.delayedExecutor(LIFETIME_SECONDS, TimeUnit.SECONDS).execute(process::destroyForcibly);
        await();
    }

    /**
     * One at a time: a process that another thread starts meanwhile has the program open for writing until it executes
     * its own, and the kernel refuses to execute what anyone may still write.
     */
    private static synchronized Process start(byte[] elf, Path program, Path cases) throws IOException {
        Files.write(program, elf);
        Files.setPosixFilePermissions(program, PosixFilePermissions.fromString("rwx------"));
        return new ProcessBuilder(program.toString(), cases.toString())
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
    }

    /** Whether this machine can be asked. */
    public static boolean available() {
        return System.getProperty("os.name").equals("Linux")
                && System.getProperty("os.arch").toLowerCase(Locale.ROOT).equals("amd64");
    }

    /** One record of the batch, 0 to capacity - 1. */
    public CaseRecord record(int index) {
        return new CaseRecord(shared.asSlice(HostProgram.RECORDS + (long) index * CaseRecord.SIZE, CaseRecord.SIZE));
    }

    /** Runs the first {@code count} cases. */
    public void run(int count) throws IOException {
        if (count < 1 || count > capacity) {
            throw new IllegalArgumentException("a batch has 1 to " + capacity + " cases, not " + count);
        }
        long end = HostProgram.SHARED + HostProgram.RECORDS + (long) count * CaseRecord.SIZE;
        shared.set(JAVA_LONG_UNALIGNED, 8, end);
        process.outputWriter().append('!').flush();
        await();
    }

    private void await() throws IOException {
        if (process.getInputStream().read() < 0) {
            long current = shared.get(JAVA_LONG_UNALIGNED, 0);
            long number = (current - HostProgram.SHARED - HostProgram.RECORDS) / CaseRecord.SIZE;
            throw new IOException("the oracle's process died at case " + number + " of its batch");
        }
    }

    @Override
    public void close() throws IOException {
        process.destroyForcibly();
        arena.close();
        Files.deleteIfExists(folder.resolve("cases"));
        Files.deleteIfExists(folder.resolve("processor"));
        Files.deleteIfExists(folder);
    }
}
