package org.torte.disk.vhd;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.UUID;
import org.torte.base.Clock;
import org.torte.disk.CreateOptions;
import org.torte.disk.DiskAccess;
import org.torte.disk.DiskFile;
import org.torte.disk.DiskInfo;
import org.torte.disk.DiskOptions;
import org.torte.disk.DiskType;
import org.torte.disk.Identifiers;
import org.torte.disk.NewFile;
import org.torte.disk.VirtualDisk;

/** Makes one image: footer copy, header, block table, paths of the parent, footer, as Windows lays them out. */
final class VhdCreation {
    private static final int PIECE = 1 << 20;

    private final Path path;
    private final CreateOptions create;
    private final DiskOptions options;

    VhdCreation(Path path, CreateOptions create, DiskOptions options) {
        this.path = path;
        this.create = create;
        this.options = options;
    }

    void run() {
        checkOptions();
        if (create.type() == DiskType.DIFFERENCING) {
            differencing();
            return;
        }
        VhdImages.checkSize(path.toString(), create.size());
        VhdFooter footer = footer(create.size());
        if (create.type() == DiskType.FIXED) {
            NewFile.make(path, options, file -> fixed(file, footer));
        } else {
            NewFile.make(path, options, file -> sparse(file, footer, VhdLayout.NIL, "", List.of()));
        }
    }

    private void checkOptions() {
        String image = path.toString();
        if (create.logicalSectorSize() != 0 && create.logicalSectorSize() != VhdFooter.SECTOR
                || create.physicalSectorSize() != 0 && create.physicalSectorSize() != VhdFooter.SECTOR) {
            throw VhdImages.invalid(image, "a VHD has sectors of 512 bytes", "use VHDX for other sector sizes");
        }
        int block = create.blockSize();
        if (block != 0 && block != DEFAULT && block != DEFAULT / 4) {
            throw VhdImages.invalid(image, "a VHD has blocks of 2 MiB or 512 KiB", "leave the block size out");
        }
        if ((create.type() == DiskType.DIFFERENCING) != create.parent().isPresent()) {
            throw VhdImages.invalid(image, "a differencing disk, and no other, has a parent", "name a parent");
        }
    }

    private static final int DEFAULT = VhdImages.DEFAULT_BLOCK;

    private VhdFooter footer(long size) {
        return VhdFooter.create(
                VhdImages.typeCode(create.type()),
                size,
                Identifiers.random(options.random()),
                Clock.system().wallTime());
    }

    private void differencing() {
        Path parentPath = options.storage().resolve(create.parent().orElseThrow(), options.folders());
        DiskInfo parent;
        try (VirtualDisk disk = VhdImages.open(parentPath, options.withAccess(DiskAccess.READ_ONLY))) {
            parent = disk.info();
        }
        if (create.size() != 0 && create.size() != parent.size()) {
            throw VhdImages.invalid(
                    path.toString(),
                    "a differencing VHD has its parent's size of " + parent.size() + " bytes",
                    "leave the size out");
        }
        List<ParentLink.Written> links =
                ParentLink.written(options.storage().resolveNew(path, options.folders()), parentPath);
        Path name = parentPath.getFileName();
        NewFile.make(
                path,
                options,
                file -> sparse(
                        file, footer(parent.size()), parent.identifier(), name == null ? "" : name.toString(), links));
    }

    private static void fixed(DiskFile file, VhdFooter footer) throws IOException {
        long size = footer.currentSize();
        if (!file.allocate(0, size)) {
            file.truncate(size);
        }
        file.write(size, footer.encode());
    }

    private void sparse(DiskFile file, VhdFooter footer, UUID parent, String parentName, List<ParentLink.Written> links)
            throws IOException {
        int block = create.blockSize() == 0 ? DEFAULT : create.blockSize();
        int entries = (int) ((footer.currentSize() + block - 1) / block);
        long tableAt = VhdFooter.SIZE + (long) DynamicHeader.SIZE;
        DynamicHeader plain = new DynamicHeader(tableAt, entries, block, parent, parentName, List.of());
        long at = DynamicHeader.roundUp(tableAt + plain.tableBytes(), BlockSpace.ALIGNMENT);
        ParentLink.Place place = ParentLink.write(file, links, at);
        DynamicHeader header = plain.withParent(parent, parentName, place.locators());
        file.write(footer.dataOffset(), header.encode());
        emptyTable(file, tableAt, plain.tableBytes());
        // The footers come last: a file whose making was interrupted is not taken for a disk.
        file.force();
        file.write(place.end(), footer.encode());
        file.write(0, footer.encode());
    }

    private static void emptyTable(DiskFile file, long at, long length) throws IOException {
        byte[] none = new byte[(int) Math.min(PIECE, length)];
        Arrays.fill(none, (byte) 0xff);
        for (long done = 0; done < length; done += none.length) {
            int count = (int) Math.min(none.length, length - done);
            file.write(at + done, count == none.length ? none : Arrays.copyOf(none, count));
        }
    }
}
