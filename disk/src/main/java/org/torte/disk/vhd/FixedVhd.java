package org.torte.disk.vhd;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.Objects;
import java.util.Optional;
import org.torte.disk.DiskException;
import org.torte.disk.DiskException.Kind;
import org.torte.disk.DiskFile;
import org.torte.disk.DiskFormat;
import org.torte.disk.DiskInfo;
import org.torte.disk.DiskType;
import org.torte.disk.Durability;
import org.torte.disk.Extent;
import org.torte.disk.Faults;
import org.torte.disk.VirtualDisk;

/**
 * A fixed VHD: the content of the disk and a footer.
 *
 * <p>Growth writes a footer at the new end that names the old footer's sector as pending, forces, clears that sector,
 * and writes the footer without the note. Until the note is gone the sector reads as zeros.
 */
final class FixedVhd implements VirtualDisk {
    private static final int UNIT = 1 << 20;
    private static final MemorySegment ZEROS = MemorySegment.ofArray(new byte[1 << 16]);

    private final DiskFile file;
    private final Faults faults;
    private final Durability durability;
    private volatile VhdFooter footer;
    private volatile long size;

    FixedVhd(VhdLayout layout) {
        this.file = layout.file();
        this.footer = layout.footer();
        this.size = layout.footer().diskSize();
        this.faults = new Faults(file.name());
        this.durability = new Durability(file, faults);
        if (!file.readOnly()) {
            recover(layout);
        }
    }

    /** Finishes or takes back a growth that was interrupted. */
    private void recover(VhdLayout layout) {
        try {
            if (!layout.endFooter()) {
                file.truncate(layout.footerAt() + VhdFooter.SIZE);
                durability.modified();
                durability.force();
            }
            if (footer.pendingZero() != 0) {
                clearPending(layout.footerAt());
            }
        } catch (IOException e) {
            throw faults.of(e);
        }
    }

    private void clearPending(long footerAt) throws IOException {
        long at = footer.pendingZero();
        if (pendingInside(at)) {
            file.write(at, ZEROS, 0, VhdFooter.SECTOR);
            durability.modified();
            durability.force();
        }
        footer = footer.withPendingZero(0);
        file.write(footerAt, footer.encode());
        durability.modified();
        durability.force();
    }

    private boolean pendingInside(long at) {
        return at > 0 && at % VhdFooter.SECTOR == 0 && at < size;
    }

    @Override
    public long size() {
        return size;
    }

    @Override
    public int logicalSectorSize() {
        return VhdFooter.SECTOR;
    }

    @Override
    public int physicalSectorSize() {
        return VhdFooter.SECTOR;
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
                    DiskFormat.VHD,
                    DiskType.FIXED,
                    size,
                    file.size(),
                    file.allocatedSize(),
                    0,
                    VhdFooter.SECTOR,
                    VhdFooter.SECTOR,
                    footer.identifier(),
                    footer.identifier(),
                    Optional.empty(),
                    footer.pendingZero() != 0);
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
        long pending = footer.pendingZero();
        if (pending != 0 && pendingInside(pending) && pending >= offset && pending < offset + length) {
            memory.asSlice(at + pending - offset, VhdFooter.SECTOR).fill((byte) 0);
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
            zero(offset, length);
        } catch (IOException e) {
            throw faults.of(e);
        } finally {
            durability.modified();
        }
    }

    private void zero(long offset, long length) throws IOException {
        for (long done = 0; done < length; done += ZEROS.byteSize()) {
            file.write(offset + done, ZEROS, 0, Math.min(ZEROS.byteSize(), length - done));
        }
    }

    /** Does nothing: the space of a fixed disk stays reserved. */
    @Override
    public void trim(long offset, long length) {
        checkWritable(offset, length);
    }

    @Override
    public void flush() {
        durability.force();
    }

    @Override
    public Extent extent(long offset, long length) {
        check(offset, length);
        try {
            long data = Math.min(file.nextData(offset) & -VhdFooter.SECTOR, offset + length);
            if (data > offset) {
                return new Extent(offset, data - offset, Extent.Kind.ZERO);
            }
            long hole = DynamicHeader.roundUp(file.nextHole(offset), VhdFooter.SECTOR);
            return new Extent(
                    offset, Math.max(VhdFooter.SECTOR, Math.min(hole, offset + length) - offset), Extent.Kind.MAPPED);
        } catch (IOException e) {
            throw faults.of(e);
        }
    }

    @Override
    public synchronized void resize(long newSize) {
        checkWritable(0, 0);
        VhdImages.checkSize(file.name(), newSize);
        try {
            if (newSize > size) {
                long old = size;
                file.allocate(old + VhdFooter.SIZE, newSize - old);
                footer = footer.withSize(newSize).withPendingZero(old);
                file.write(newSize, footer.encode());
                durability.modified();
                durability.force();
                size = newSize;
                clearPending(newSize);
            } else if (newSize < size) {
                VhdFooter smaller = footer.withSize(newSize);
                file.write(newSize, smaller.encode());
                durability.modified();
                durability.force();
                file.truncate(newSize + VhdFooter.SIZE);
                durability.modified();
                durability.force();
                footer = smaller;
                size = newSize;
            }
        } catch (IOException e) {
            throw faults.of(e);
        }
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
        if (((offset | length) & (VhdFooter.SECTOR - 1)) != 0) {
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
