package org.torte.worker.guest;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.UUID;
import org.torte.disk.CreateOptions;
import org.torte.disk.DiskException;
import org.torte.disk.DiskFormat;
import org.torte.disk.DiskOptions;
import org.torte.disk.Extent;
import org.torte.disk.VirtualDisk;
import org.torte.disk.VirtualDisks;
import org.torte.worker.DiskSource;
import org.torte.worker.InputException;

/** Makes a disk with a partition table and one partition, the root file system of a guest. */
final class GuestDisk {
    private static final int CHUNK = 1 << 20;
    /** Small blocks keep small disks small. */
    private static final int BLOCK_SIZE = 2 << 20;

    /** Makes a file with a file system of {@link GptTable#room} bytes. */
    interface VolumeMaker {
        void make(Path file) throws IOException;
    }

    private GuestDisk() {}

    /**
     * Makes a disk, or nothing if something fails.
     *
     * @param file a new file, whose name says its format
     * @param size bytes, whole MiB
     * @param id the file system's UUID, from which the identifiers of disk and partition follow
     * @throws InputException when the file is there already or cannot be made
     */
    static void make(Path file, long size, UUID id, String name, VolumeMaker maker) {
        DiskFormat format = DiskSource.formatOf(file);
        CreateOptions create = CreateOptions.dynamic(size);
        switch (format) {
            case RAW -> create = CreateOptions.fixed(size);
            case VHDX -> create = create.withBlockSize(BLOCK_SIZE);
            case VHD -> {}
        }
        boolean unfinished = false;
        try {
            VirtualDisks.create(file, format, create, DiskOptions.readWrite());
            unfinished = true;
            fill(file, format, id, name, maker);
            unfinished = false;
        } catch (DiskException e) {
            throw new InputException(String.valueOf(e.getMessage()));
        } catch (IOException e) {
            throw new InputException("the disk " + file + " cannot be made (" + e
                    + "); check the free space there and in " + System.getProperty("java.io.tmpdir"));
        } finally {
            if (unfinished) {
                GuestImages.deleteQuietly(file);
            }
        }
    }

    private static void fill(Path file, DiskFormat format, UUID id, String name, VolumeMaker maker) throws IOException {
        Path parent = file.toAbsolutePath().getParent();
        Path volume = Files.createTempFile(parent == null ? Path.of("/") : parent, ".torte-", ".part.raw");
        try (VirtualDisk disk = VirtualDisks.open(file, format, DiskOptions.readWrite())) {
            maker.make(volume);
            UUID diskId = TinyGuest.identifier(id + " disk");
            GptTable.write(disk, diskId, TinyGuest.identifier(id + " partition"), GptTable.ROOT, name);
            try (VirtualDisk source = VirtualDisks.open(volume, DiskFormat.RAW, DiskOptions.readOnly())) {
                copy(source, disk, GptTable.ALIGNMENT);
            }
            disk.flush();
        } finally {
            Files.deleteIfExists(volume);
        }
    }

    /** Copies what is not zero. */
    private static void copy(VirtualDisk source, VirtualDisk target, long offset) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment buffer = arena.allocate(CHUNK, 4096);
            for (long at = 0; at < source.size(); ) {
                Extent extent = source.extent(at, source.size() - at);
                for (long end = extent.end(); at < end; ) {
                    long length = Math.min(CHUNK, end - at);
                    if (extent.kind() == Extent.Kind.MAPPED) {
                        source.read(at, buffer, 0, length);
                        if (!isZero(buffer, length)) {
                            target.write(offset + at, buffer, 0, length);
                        }
                    }
                    at += length;
                }
            }
        }
    }

    private static boolean isZero(MemorySegment buffer, long length) {
        for (long at = 0; at < length; at += 8) {
            if (buffer.get(ValueLayout.JAVA_LONG, at) != 0) {
                return false;
            }
        }
        return true;
    }
}
