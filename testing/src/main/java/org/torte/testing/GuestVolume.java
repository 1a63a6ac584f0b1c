package org.torte.testing;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.torte.disk.DiskOptions;
import org.torte.disk.VirtualDisk;
import org.torte.disk.VirtualDisks;
import org.torte.worker.DiskSource;

/** The file system on a tiny guest's disk, as e2fsprogs on the host see it. */
public final class GuestVolume {
    /** Where the only partition begins, and what lies behind it, in bytes. */
    private static final long START = 1 << 20, BEHIND = 1 << 20;

    private static final Path FSCK = Path.of("/usr/sbin/e2fsck"), DEBUGFS = Path.of("/usr/sbin/debugfs");

    private GuestVolume() {}

    /** Whether e2fsprogs are here to judge. */
    public static boolean judged() {
        return Files.isExecutable(FSCK) && Files.isExecutable(DEBUGFS);
    }

    /** Writes the content of the partition to a file, which is sparse. */
    public static void extract(Path disk, Path file) throws IOException {
        try (VirtualDisk source = VirtualDisks.open(disk, DiskSource.formatOf(disk), DiskOptions.readOnly())) {
            extract(source, file);
        }
    }

    /** The same of an open disk. */
    public static void extract(VirtualDisk source, Path file) throws IOException {
        byte[] chunk = new byte[1 << 20];
        byte[] zeros = new byte[chunk.length];
        try (var channel = Files.newByteChannel(file, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
            for (long at = START; at < source.size() - BEHIND; at += chunk.length) {
                source.read(at, chunk);
                boolean last = at + 2L * chunk.length > source.size() - BEHIND;
                if (last || !Arrays.equals(chunk, zeros)) {
                    channel.position(at - START).write(ByteBuffer.wrap(chunk));
                }
            }
        }
    }

    /** What e2fsck finds wrong, nothing when all is well; nothing is repaired. */
    public static String fsck(Path volume) throws IOException, InterruptedException {
        return run(0, FSCK.toString(), "-fn", volume.toString());
    }

    /** Replays the journal, as at the next start of a guest, and repairs nothing else; gives what e2fsck finds wrong. */
    public static String recover(Path volume) throws IOException, InterruptedException {
        run(-1, FSCK.toString(), "-E", "journal_only", "-y", volume.toString());
        return fsck(volume);
    }

    /** The names of the features that the superblock shows. */
    public static String features(Path volume) throws IOException, InterruptedException {
        return run(-1, DEBUGFS.toString(), "-R", "features", volume.toString());
    }

    /** The content of a file as text, empty if there is none. */
    public static String read(Path volume, String file) throws IOException, InterruptedException {
        return run(-1, DEBUGFS.toString(), "-R", "cat " + file, volume.toString());
    }

    /** What a program printed; nothing when its status is {@code silent}. */
    private static String run(int silent, String... command) throws IOException, InterruptedException {
        List<String> words = new ArrayList<>(List.of(command));
        ProcessBuilder builder = new ProcessBuilder(words);
        builder.environment().put("LC_ALL", "C");
        if (silent < 0) {
            builder.redirectError(ProcessBuilder.Redirect.DISCARD);
        } else {
            builder.redirectErrorStream(true);
        }
        Process process = builder.start();
        process.getOutputStream().close();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.ISO_8859_1);
        return process.waitFor() == silent ? "" : output;
    }
}
