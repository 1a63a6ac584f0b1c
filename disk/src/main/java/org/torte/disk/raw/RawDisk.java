package org.torte.disk.raw;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
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
import org.torte.disk.DiskType;
import org.torte.disk.Durability;
import org.torte.disk.Extent;
import org.torte.disk.Faults;
import org.torte.disk.VirtualDisk;

/** A raw disk. Holes of the file are unmapped ranges of the disk. */
public final class RawDisk implements VirtualDisk {
    private static final UUID NIL = new UUID(0, 0);
    private static final int SECTOR = 512;
    private static final int UNIT = 1 << 20;
    private static final MemorySegment ZEROS = MemorySegment.ofArray(new byte[64 << 10]);

    private final DiskFile file;
    private final Faults faults;
    private volatile long size;
    private final Durability durability;

    private RawDisk(DiskFile file, Faults faults, long size) {
        this.file = file;
        this.faults = faults;
        this.size = size;
        this.durability = new Durability(file, faults);
    }

    /** Opens a file or block device. */
    public static RawDisk open(Path path, DiskOptions options) {
        DiskFile file = options.storage().open(path, options.access(), options.folders());
        Faults faults = new Faults(file.name());
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
            return new RawDisk(file, faults, size);
        } catch (IOException e) {
            throw faults.of(e);
        }
    }

    /** Makes a raw disk: a file with a hole, or for {@link DiskType#FIXED} with all its space. */
    public static void create(Path path, CreateOptions create, DiskOptions options) {
        if (create.type() == DiskType.DIFFERENCING) {
            throw invalid(path.toString(), "a raw disk has no parent", "choose VHDX");
        }
        if (create.size() <= 0 || create.size() % SECTOR != 0) {
            throw invalid(path.toString(), "the size must be a positive multiple of 512 bytes", "choose such a size");
        }
        try (DiskFile file = options.storage().create(path, options.folders())) {
            try {
                file.truncate(create.size());
                if (create.type() == DiskType.FIXED) {
                    file.allocate(0, create.size());
                }
                file.force();
            } catch (IOException e) {
                options.storage().delete(path);
                throw e;
            }
        } catch (IOException e) {
            throw new Faults(path.toString()).of(e);
        }
    }

    /** A raw disk has nothing to check but that it can be opened. */
    public static CheckReport check(Path path, DiskOptions options) {
        try (RawDisk disk = open(path, options)) {
            long blocks = (disk.size() + UNIT - 1) / UNIT;
            return new CheckReport(disk.file.name(), DiskFormat.RAW, List.of(), blocks, blocks, 0);
        }
    }

    private static DiskException invalid(String image, String problem, String remedy) {
        return new DiskException(Kind.INVALID, image, problem, remedy);
    }

    @Override
    public long size() {
        return size;
    }

    @Override
    public int logicalSectorSize() {
        return SECTOR;
    }

    @Override
    public int physicalSectorSize() {
        return 4096;
    }

    @Override
    public int blockSize() {
        return UNIT;
    }

    @Override
    public boolean readOnly() {
        return file.readOnly();
    }

    @Override
    public DiskInfo info() {
        try {
            return new DiskInfo(
                    file.name(),
                    DiskFormat.RAW,
                    file.allocatedSize() < size ? DiskType.DYNAMIC : DiskType.FIXED,
                    size,
                    file.size(),
                    file.allocatedSize(),
                    0,
                    SECTOR,
                    4096,
                    NIL,
                    NIL,
                    Optional.empty(),
                    false);
        } catch (IOException e) {
            throw faults.of(e);
        }
    }

    @Override
    public Optional<VirtualDisk> parent() {
        return Optional.empty();
    }

    @Override
    public void read(long offset, MemorySegment memory, long at, long length) {
        check(offset, length);
        try {
            file.read(offset, memory, at, length);
        } catch (IOException e) {
            throw faults.of(e);
        }
    }

    @Override
    public void write(long offset, MemorySegment memory, long at, long length) {
        checkWritable(offset, length);
        try {
            file.write(offset, memory, at, length);
        } catch (IOException e) {
            throw faults.of(e);
        } finally {
            durability.modified();
        }
    }

    @Override
    public void writeZeroes(long offset, long length) {
        checkWritable(offset, length);
        try {
            if (!file.punchHole(offset, length)) {
                for (long done = 0; done < length; done += ZEROS.byteSize()) {
                    file.write(offset + done, ZEROS, 0, Math.min(ZEROS.byteSize(), length - done));
                }
            }
        } catch (IOException e) {
            throw faults.of(e);
        } finally {
            durability.modified();
        }
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
    public void flush() {
        durability.force();
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
    public synchronized void resize(long newSize) {
        checkWritable(0, 0);
        if (newSize <= 0 || newSize % SECTOR != 0) {
            throw invalid(file.name(), "the size must be a positive multiple of 512 bytes", "choose such a size");
        }
        try {
            file.truncate(newSize);
            durability.modified();
        } catch (IOException e) {
            throw faults.of(e);
        }
        size = newSize;
        flush();
    }

    @Override
    public void close() {
        try (file) {
            if (!readOnly() && durability.dirty() && !faults.poisoned()) {
                durability.force();
            }
        } catch (IOException e) {
            throw faults.of(e);
        }
    }

    private void check(long offset, long length) {
        Objects.checkFromIndexSize(offset, length, size);
        if (((offset | length) & (SECTOR - 1)) != 0) {
            throw new IllegalArgumentException("not a multiple of 512: " + length + " bytes at " + offset);
        }
    }

    private void checkWritable(long offset, long length) {
        check(offset, length);
        if (readOnly()) {
            throw new DiskException(Kind.READ_ONLY, file.name(), "it is open for reading", "open it for writing");
        }
        faults.check();
    }
}
