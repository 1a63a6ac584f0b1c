package org.torte.disk.vhd;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.Optional;
import org.torte.disk.DiskFile;
import org.torte.disk.DiskFormat;
import org.torte.disk.DiskInfo;
import org.torte.disk.DiskType;
import org.torte.disk.Extent;
import org.torte.disk.FlatDisk;

/**
 * A fixed VHD: the content of the disk and a footer.
 *
 * <p>Growth writes a footer at the new end that names the old footer's sector as pending, forces, clears that sector,
 * and writes the footer without the note. Until the note is gone the sector reads as zeros.
 */
final class FixedVhd extends FlatDisk {
    private volatile VhdFooter footer;

    FixedVhd(VhdLayout layout) {
        super(layout.file(), layout.footer().diskSize());
        this.footer = layout.footer();
        if (!file.readOnly()) {
            recover(layout);
        }
    }

    DiskFile file() {
        return file;
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
                clearPending(layout.footerAt(), size());
            }
        } catch (IOException e) {
            throw faults.of(e);
        }
    }

    private void clearPending(long footerAt, long end) throws IOException {
        long at = footer.pendingZero();
        if (pendingInside(at, end)) {
            file.writeZeros(at, SECTOR);
            durability.modified();
            durability.force();
        }
        footer = footer.withPendingZero(0);
        FileEnd.put(file, durability, footer, footerAt);
    }

    private static boolean pendingInside(long at, long end) {
        return at > 0 && at % SECTOR == 0 && at < end;
    }

    @Override
    public int physicalSectorSize() {
        return SECTOR;
    }

    @Override
    public DiskInfo info() {
        try {
            return new DiskInfo(
                    file.name(),
                    DiskFormat.VHD,
                    DiskType.FIXED,
                    size(),
                    file.size(),
                    file.allocatedSize(),
                    0,
                    SECTOR,
                    SECTOR,
                    footer.identifier(),
                    footer.identifier(),
                    Optional.empty(),
                    footer.pendingZero() != 0);
        } catch (IOException e) {
            throw faults.of(e);
        }
    }

    @Override
    public void read(long offset, MemorySegment memory, long at, long length) {
        super.read(offset, memory, at, length);
        long pending = footer.pendingZero();
        if (pending != 0 && pendingInside(pending, size()) && pending >= offset && pending < offset + length) {
            memory.asSlice(at + pending - offset, SECTOR).fill((byte) 0);
        }
    }

    @Override
    protected void zero(long offset, long length) throws IOException {
        file.writeZeros(offset, length);
    }

    /** Does nothing: the space of a fixed disk stays reserved. */
    @Override
    public void trim(long offset, long length) {
        checkWritable(offset, length);
    }

    @Override
    public Extent extent(long offset, long length) {
        check(offset, length);
        try {
            long data = Math.min(file.nextData(offset) & -SECTOR, offset + length);
            if (data > offset) {
                return new Extent(offset, data - offset, Extent.Kind.ZERO);
            }
            long hole = DynamicHeader.roundUp(file.nextHole(offset), SECTOR);
            return new Extent(offset, Math.max(SECTOR, Math.min(hole, offset + length) - offset), Extent.Kind.MAPPED);
        } catch (IOException e) {
            throw faults.of(e);
        }
    }

    @Override
    protected void changeSize(long newSize) throws IOException {
        VhdImages.checkSize(file.name(), newSize);
        long old = size();
        if (newSize > old) {
            file.allocate(old + VhdFooter.SIZE, newSize - old);
            footer = footer.withSize(newSize).withPendingZero(old);
            FileEnd.put(file, durability, footer, newSize);
            clearPending(newSize, newSize);
            // Not before: what is written there from now on must stay.
            sized(newSize);
        } else if (newSize < old) {
            VhdFooter smaller = footer.withSize(newSize);
            FileEnd.cut(file, durability, smaller, newSize);
            footer = smaller;
            sized(newSize);
        }
    }
}
