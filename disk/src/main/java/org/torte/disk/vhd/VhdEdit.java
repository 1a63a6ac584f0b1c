package org.torte.disk.vhd;

import java.io.IOException;
import java.nio.file.Path;
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
            vhd.connect(identifier, parent, ParentLink.written(child, parent));
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
