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
import org.torte.disk.Durability;
import org.torte.disk.Faults;

/**
 * Changes what an image says about itself. The header is two sectors with one checksum, so it is not overwritten in
 * place: a new one goes to the end of the file, the footers are pointed to it one after the other, then the original
 * place is brought up to date and the footers return to it.
 */
final class VhdEdit {
    private final DiskFile file;
    private final Durability durability;
    private VhdLayout layout;

    private VhdEdit(DiskFile file) throws IOException {
        this.file = file;
        this.durability = new Durability(file, new Faults(file.name()));
        this.layout = VhdLayout.read(file);
        if (layout.footer().type() != VhdFooter.FIXED) {
            SpaceScan.of(layout, layout.table(), durability);
            this.layout = VhdLayout.read(file);
        }
    }

    private interface Change {
        void apply(VhdEdit edit) throws IOException;
    }

    private static void with(Path path, DiskOptions options, Change change) {
        Path real = options.storage().resolve(path, options.folders());
        try (DiskFile file = options.storage().open(real, DiskAccess.READ_WRITE, options.folders())) {
            change.apply(new VhdEdit(file));
        } catch (IOException e) {
            throw new Faults(real.toString()).of(e);
        }
    }

    static void setParent(Path path, Path parent, UUID identifier, DiskOptions options) {
        Path child = options.storage().resolve(path, options.folders());
        Path name = parent.getFileName();
        with(path, options, edit -> {
            if (edit.layout.footer().type() != VhdFooter.DIFFERENCING) {
                throw new DiskException(
                        Kind.UNSUPPORTED, child.toString(), "it has no parent", "name a differencing disk");
            }
            edit.replaceParent(identifier, name == null ? "" : name.toString(), ParentLink.written(child, parent));
        });
    }

    static void setIdentifier(Path path, UUID identifier, DiskOptions options) {
        with(path, options, edit -> {
            VhdFooter changed = edit.layout.footer().withIdentifier(identifier);
            edit.writeFooters(edit.layout.footerAt(), changed);
        });
    }

    private void replaceParent(UUID identifier, String name, List<ParentLink.Written> links) throws IOException {
        VhdFooter footer = layout.footer();
        long at = DynamicHeader.roundUp(layout.fileSize(), BlockSpace.ALIGNMENT);
        ParentLink.Place place = ParentLink.write(file, links, at);
        byte[] header =
                layout.dynamic().withParent(identifier, name, place.locators()).encode();
        long copyAt = place.end();
        file.write(copyAt, header);
        long footerAt = DynamicHeader.roundUp(copyAt + header.length, VhdFooter.SECTOR);
        // At the new end first the old footer: should only this one survive, it says what was true before.
        FileEnd.put(file, durability, footer, footerAt);
        writeFooters(footerAt, footer.withDataOffset(copyAt));
        file.write(footer.dataOffset(), header);
        durability.modified();
        durability.force();
        writeFooters(footerAt, footer);
    }

    private void writeFooters(long footerAt, VhdFooter footer) throws IOException {
        FileEnd.put(file, durability, footer, footerAt);
        if (footer.type() != VhdFooter.FIXED) {
            FileEnd.put(file, durability, footer, 0);
        }
    }
}
