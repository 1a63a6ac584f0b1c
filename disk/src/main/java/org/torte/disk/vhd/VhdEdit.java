package org.torte.disk.vhd;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.UUID;
import org.torte.disk.DiskAccess;
import org.torte.disk.DiskException;
import org.torte.disk.DiskException.Kind;
import org.torte.disk.DiskFile;
import org.torte.disk.DiskOptions;
import org.torte.disk.DiskType;
import org.torte.disk.Durability;
import org.torte.disk.Faults;
import org.torte.disk.VirtualDisk;

/** Changes what an image that is not open says about itself. */
final class VhdEdit {
    private VhdEdit() {}

    static void setParent(Path path, Path parent, UUID identifier, DiskOptions options) {
        Path child = options.storage().resolve(path, options.folders());
        DiskOptions alone = options.withAccess(DiskAccess.READ_WRITE).withOpenParents(false);
        try (VirtualDisk disk = VhdImages.open(child, alone)) {
            if (!(disk instanceof DynamicVhd vhd) || disk.info().type() != DiskType.DIFFERENCING) {
                throw new DiskException(
                        Kind.UNSUPPORTED, child.toString(), "it has no parent", "name a differencing disk");
            }
            connect(vhd.image(), identifier, parent, ParentLink.written(child, parent));
        }
    }

    /**
     * Writes into an open image who its parent is. The header is two sectors with one checksum, so it is not overwritten
     * in place: a new one goes to the end of the file, the footers are pointed to it one after the other, then the
     * original place is brought up to date and the footers return to it.
     */
    static void connect(DynamicImage image, UUID identifier, Path path, List<ParentLink.Written> links) {
        Path last = path.getFileName();
        image.structure.writeLock().lock();
        try {
            image.flush();
            image.flushing.lock();
            image.allocation.lock();
            try {
                VhdFooter original = image.footer;
                long length = DynamicHeader.SIZE;
                for (ParentLink.Written link : links) {
                    length += DynamicHeader.roundUp(link.encode().length, BlockSpace.ALIGNMENT);
                }
                ParentLink.Place place =
                        ParentLink.write(image.file, links, image.space().takeForMetadata(original, length));
                DynamicHeader changed =
                        image.header.withParent(identifier, last == null ? "" : last.toString(), place.locators());
                image.file.write(place.end(), changed.encode());
                image.durability.modified();
                image.durability.force();
                image.replaceFooter(original.withDataOffset(place.end()));
                image.file.write(original.dataOffset(), changed.encode());
                image.durability.modified();
                image.durability.force();
                image.replaceFooter(original);
                image.header = changed;
            } finally {
                image.allocation.unlock();
                image.flushing.unlock();
            }
        } catch (IOException e) {
            throw image.faults.of(e);
        } finally {
            image.structure.writeLock().unlock();
        }
    }

    static void setIdentifier(Path path, UUID identifier, DiskOptions options) {
        Path real = options.storage().resolve(path, options.folders());
        try (DiskFile file = options.storage().open(real, DiskAccess.READ_WRITE, options.folders())) {
            Durability durability = new Durability(file, new Faults(file.name()));
            VhdLayout layout = VhdLayout.read(file);
            if (layout.footer().type() != VhdFooter.FIXED) {
                SpaceScan.of(layout, layout.table(), durability);
                layout = VhdLayout.read(file);
            }
            VhdFooter changed = layout.footer().withIdentifier(identifier);
            FileEnd.put(file, durability, changed, layout.footerAt());
            if (changed.type() != VhdFooter.FIXED) {
                FileEnd.put(file, durability, changed, 0);
            }
        } catch (IOException e) {
            throw new Faults(real.toString()).of(e);
        }
    }
}
