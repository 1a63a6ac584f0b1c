package org.torte.disk.raw;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import org.torte.disk.CheckReport;
import org.torte.disk.CreateOptions;
import org.torte.disk.DiskException;
import org.torte.disk.DiskException.Kind;
import org.torte.disk.DiskFile;
import org.torte.disk.DiskFormat;
import org.torte.disk.DiskInfo;
import org.torte.disk.DiskOptions;
import org.torte.disk.DiskSize;
import org.torte.disk.DiskType;
import org.torte.disk.Extent;
import org.torte.disk.Faults;
import org.torte.disk.FlatDisk;
import org.torte.disk.NewFile;

/** A raw disk. Holes of the file are unmapped ranges of the disk. */
public final class RawDisk extends FlatDisk {
    private static final UUID NIL = new UUID(0, 0);
    private static final int PHYSICAL_SECTOR = 4096;

    private RawDisk(DiskFile file, long size) {
        super(file, size);
    }

    /** Opens a file or block device. */
    public static RawDisk open(Path path, DiskOptions options) {
        DiskFile file = options.storage().open(path, options.access(), options.folders());
        try {
            long size = file.size();
            if (size % SECTOR != 0) {
                file.close();
                throw new DiskException(
                        Kind.INVALID,
                        file.name(),
                        "its size of " + size + " bytes is not a multiple of 512",
                        "check its format, or extend it with zeros to " + (size / SECTOR + 1) * SECTOR + " bytes");
            }
            return new RawDisk(file, size);
        } catch (IOException e) {
            throw new Faults(file.name()).of(e);
        }
    }

    /** Makes a raw disk: a file with a hole, or for {@link DiskType#FIXED} with all its space. */
    public static void create(Path path, CreateOptions create, DiskOptions options) {
        if (create.type() == DiskType.DIFFERENCING) {
            throw new DiskException(Kind.INVALID, path.toString(), "a raw disk has no parent", "choose VHDX");
        }
        DiskSize.check(path.toString(), create.size(), SECTOR);
        NewFile.make(path, options, file -> {
            file.truncate(create.size());
            if (create.type() == DiskType.FIXED) {
                file.allocate(0, create.size());
            }
        });
    }

    /** A raw disk has nothing to check but that it can be opened. */
    public static CheckReport check(Path path, DiskOptions options) {
        try (RawDisk disk = open(path, options)) {
            long blocks = (disk.size() + disk.blockSize() - 1) / disk.blockSize();
            return new CheckReport(disk.file.name(), DiskFormat.RAW, List.of(), blocks, blocks, 0);
        }
    }

    @Override
    public int physicalSectorSize() {
        return PHYSICAL_SECTOR;
    }

    @Override
    public DiskInfo info() {
        try {
            return new DiskInfo(
                    file.name(),
                    DiskFormat.RAW,
                    file.allocatedSize() < size() ? DiskType.DYNAMIC : DiskType.FIXED,
                    size(),
                    file.size(),
                    file.allocatedSize(),
                    0,
                    SECTOR,
                    PHYSICAL_SECTOR,
                    NIL,
                    NIL,
                    Optional.empty(),
                    false);
        } catch (IOException e) {
            throw faults.of(e);
        }
    }

    @Override
    protected void zero(long offset, long length) throws IOException {
        file.clear(offset, length);
    }

    @Override
    public void trim(long offset, long length) {
        checkWritable(offset, length);
        try {
            file.punchHole(offset, length);
        } catch (IOException e) {
            throw faults.of(e);
        } finally {
            durability.modified();
        }
    }

    @Override
    public Extent extent(long offset, long length) {
        check(offset, length);
        try {
            long data = Math.min(file.nextData(offset), offset + length);
            if (data > offset) {
                return new Extent(offset, data - offset, Extent.Kind.UNMAPPED);
            }
            return new Extent(offset, Math.min(file.nextHole(offset), offset + length) - offset, Extent.Kind.MAPPED);
        } catch (IOException e) {
            throw faults.of(e);
        }
    }

    @Override
    protected void changeSize(long newSize) throws IOException {
        DiskSize.check(file.name(), newSize, SECTOR);
        file.truncate(newSize);
        durability.modified();
        durability.force();
        sized(newSize);
    }
}
