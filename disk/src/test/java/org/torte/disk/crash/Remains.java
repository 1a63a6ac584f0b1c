package org.torte.disk.crash;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.function.Predicate;
import org.torte.base.RandomSource;
import org.torte.disk.CheckReport;
import org.torte.disk.DiskAccess;
import org.torte.disk.DiskFormat;
import org.torte.disk.DiskOptions;
import org.torte.disk.VirtualDisk;
import org.torte.disk.VirtualDisks;

/**
 * What a power failure has left of an image and the files around it.
 *
 * @param what tells how it came about, for messages
 */
public record Remains(Path image, DiskFormat format, MemoryStorage files, long seed, String what) {
    /** The options that tests of this package open images with. */
    public static DiskOptions options(MemoryStorage storage, long seed) {
        return DiskOptions.readWrite().withStorage(storage).withRandom(RandomSource.seeded(seed));
    }

    /** All of the disk. Replays the log when it is opened for writing. */
    public byte[] content(DiskAccess access) {
        try (VirtualDisk disk =
                VirtualDisks.open(image, format, options(files, seed).withAccess(access))) {
            byte[] content = new byte[(int) disk.size()];
            disk.read(0, content);
            return content;
        } catch (RuntimeException e) {
            throw new AssertionError(what + ", " + access, e);
        }
    }

    /**
     * Opens the image for reading, checks it, opens it for writing, and checks it again: it must be sound and show the
     * same both times.
     *
     * @param tolerated errors that opening for writing mends
     * @return the content
     */
    public byte[] judge(Predicate<CheckReport.Finding> tolerated) {
        byte[] reading = content(DiskAccess.READ_ONLY);
        assertSound(what, tolerated);
        byte[] writing = content(DiskAccess.READ_WRITE);
        assertThat(Arrays.mismatch(reading, writing))
                .as(what + ": content after it was opened for writing")
                .isEqualTo(-1);
        assertSound(what + ", after it was opened for writing", finding -> false);
        return reading;
    }

    private void assertSound(String when, Predicate<CheckReport.Finding> tolerated) {
        DiskOptions options = options(files, seed).withAccess(DiskAccess.READ_ONLY);
        assertThat(VirtualDisks.check(image, format, options, false).findings())
                .as(when)
                .noneMatch(f -> f.severity() == CheckReport.Severity.ERROR && !tolerated.test(f));
    }
}
