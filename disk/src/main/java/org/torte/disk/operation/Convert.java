package org.torte.disk.operation;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.Optional;
import org.torte.disk.CreateOptions;
import org.torte.disk.DiskAccess;
import org.torte.disk.DiskException;
import org.torte.disk.DiskException.Kind;
import org.torte.disk.DiskFile;
import org.torte.disk.DiskFormat;
import org.torte.disk.DiskOptions;
import org.torte.disk.DiskStorage;
import org.torte.disk.DiskType;
import org.torte.disk.Extent;
import org.torte.disk.Faults;
import org.torte.disk.VirtualDisk;
import org.torte.disk.VirtualDisks;

/**
 * Copies the content of a disk, through all of its chain, into a new image of any format. What is zero takes no space.
 * The image gets its name when it is complete: an interrupted conversion leaves no half image behind it, at most, after
 * a crash, one whose name ends in {@link #PARTIAL}.
 */
public final class Convert {
    /** The end of the name of an image that is being made. */
    public static final String PARTIAL = ".partial";

    private static final int PIECE = 1 << 20;
    private static final int ZERO_UNIT = 64 << 10;

    private Convert() {}

    /**
     * Converts.
     *
     * @param type fixed or dynamic
     * @param blockSize bytes of a block of the new image, or 0 for its default
     * @throws DiskException EXISTS when the new image is there, CANCELLED, and whatever opening and writing throw
     */
    public static void run(
            Path source,
            DiskFormat sourceFormat,
            Path target,
            DiskFormat targetFormat,
            DiskType type,
            int blockSize,
            DiskOptions options,
            Progress progress) {
        try (VirtualDisk from = VirtualDisks.open(source, sourceFormat, readOnly(options))) {
            run(from, target, targetFormat, type, blockSize, options, progress);
        }
    }

    /** Converts a disk that is open and does not change meanwhile, such as a {@link PointInTime} of one in use. */
    public static void run(
            VirtualDisk from,
            Path target,
            DiskFormat targetFormat,
            DiskType type,
            int blockSize,
            DiskOptions options,
            Progress progress) {
        if (type == DiskType.DIFFERENCING) {
            throw new DiskException(
                    Kind.INVALID, target.toString(), "a conversion makes a whole disk", "use fixed or dynamic");
        }
        DiskStorage storage = options.storage();
        Path made = storage.resolveNew(target, options.folders());
        if (storage.exists(made)) {
            throw exists(target);
        }
        Path partial = made.resolveSibling(made.getFileName() + PARTIAL);
        CreateOptions create = shape(from, target, targetFormat, type, blockSize);
        deleteLeftover(partial, options);
        try {
            make(from, partial, targetFormat, create, options, progress);
            storage.rename(partial, made, options.folders());
        } catch (DiskException e) {
            // The name of a file that is gone again helps nobody.
            throw e.image().equals(partial.toString()) ? e.about(made.toString()) : e;
        }
    }

    private static void make(
            VirtualDisk from,
            Path partial,
            DiskFormat format,
            CreateOptions create,
            DiskOptions options,
            Progress progress) {
        VirtualDisks.create(partial, format, create, options);
        try {
            try (VirtualDisk to = VirtualDisks.open(partial, format, options)) {
                copy(from, to, progress);
                to.flush();
            }
        } catch (RuntimeException | Error e) {
            deleteAfter(e, partial, options.storage());
            throw e;
        }
    }

    /** Deletes what a conversion left that a crash interrupted; one that is under way keeps its file. */
    private static void deleteLeftover(Path partial, DiskOptions options) {
        if (options.storage().exists(partial)) {
            DiskFile file = options.storage().open(partial, DiskAccess.READ_WRITE, options.folders());
            try (file) {
                options.storage().delete(partial);
            } catch (IOException e) {
                throw new Faults(partial.toString()).of(e);
            }
        }
    }

    private static void deleteAfter(Throwable reason, Path partial, DiskStorage storage) {
        try {
            storage.delete(partial);
        } catch (DiskException e) {
            reason.addSuppressed(e);
        }
    }

    static DiskOptions readOnly(DiskOptions options) {
        return options.withAccess(DiskAccess.READ_ONLY);
    }

    private static CreateOptions shape(VirtualDisk from, Path target, DiskFormat format, DiskType type, int blockSize) {
        int logical = from.logicalSectorSize();
        if (format == DiskFormat.VHD && logical != 512) {
            throw new DiskException(
                    Kind.INVALID,
                    target.toString(),
                    "the disk has sectors of " + logical + " bytes, which a VHD cannot have",
                    "convert it to VHDX or raw");
        }
        boolean sectors = format == DiskFormat.VHDX;
        return new CreateOptions(
                type,
                from.size(),
                blockSize,
                sectors ? logical : 0,
                sectors ? from.physicalSectorSize() : 0,
                Optional.empty());
    }

    /** Copies everything that is not zero into a disk that reads as zeros. */
    static void copy(VirtualDisk from, VirtualDisk to, Progress progress) {
        long size = from.size();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment buffer = arena.allocate(PIECE, 4096);
            for (long at = 0; at < size; ) {
                Extent extent = from.content(at, size - at);
                if (!Content.mapped(extent)) {
                    at += extent.length();
                    progress.step("conversion", at, size);
                    continue;
                }
                for (long end = extent.end(); at < end; ) {
                    int length = (int) Math.min(PIECE - at % PIECE, end - at);
                    from.read(at, buffer, 0, length);
                    writeContent(to, at, buffer, length);
                    at += length;
                    progress.step("conversion", at, size);
                }
            }
        }
    }

    /** Writes the stretches of a buffer that are not zero. */
    private static void writeContent(VirtualDisk to, long at, MemorySegment buffer, int length) {
        int start = -1;
        for (int done = 0; done < length; done += ZERO_UNIT) {
            int unit = Math.min(ZERO_UNIT, length - done);
            boolean zero = Content.zero(buffer, done, unit);
            if (!zero && start < 0) {
                start = done;
            }
            if (zero && start >= 0) {
                to.write(at + start, buffer, start, done - start);
                start = -1;
            }
        }
        if (start >= 0) {
            to.write(at + start, buffer, start, length - start);
        }
    }

    private static DiskException exists(Path target) {
        return new DiskException(
                Kind.EXISTS, target.toString(), "the file exists already", "choose another name or delete it");
    }
}
