package org.torte.disk.vhdx;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.torte.disk.DiskAccess;
import org.torte.disk.DiskException;
import org.torte.disk.DiskException.Kind;
import org.torte.disk.DiskFile;
import org.torte.disk.DiskOptions;
import org.torte.disk.ParentPath;
import org.torte.disk.ParentSearch;

/** Opens an image and the images it reads through to (section 2.6.2.6.3: relative, volume, absolute path). */
final class VhdxChain {
    private VhdxChain() {}

    /** The images, the named one first; its parents only when the options ask for them. */
    static List<VhdxImage> open(Path path, DiskOptions options) {
        List<VhdxImage> images = new ArrayList<>();
        Set<Path> seen = new HashSet<>();
        try {
            Path real = options.storage().resolve(path, options.folders());
            seen.add(real);
            DiskFile file = options.storage().open(real, options.access(), options.folders());
            boolean writable = options.access() == DiskAccess.READ_WRITE;
            // Looked at for reading first: its log is only replayed in the file once its parents are known to fit.
            images.add(VhdxImage.open(file, writable ? options.withAccess(DiskAccess.READ_ONLY) : options));
            DiskOptions parents = options.withAccess(
                    options.access() == DiskAccess.INSPECT ? DiskAccess.INSPECT : DiskAccess.READ_ONLY);
            while (options.openParents() && images.getLast().geometry.differencing()) {
                real = openParent(images, real, seen, parents);
            }
            if (writable) {
                images.set(0, VhdxImage.open(file, options));
            }
            return images;
        } catch (DiskException e) {
            for (VhdxImage image : images) {
                try {
                    image.close();
                } catch (DiskException other) {
                    e.addSuppressed(other);
                }
            }
            throw e;
        }
    }

    private static Path openParent(List<VhdxImage> images, Path child, Set<Path> seen, DiskOptions options) {
        VhdxImage image = images.getLast();
        ParentLocator locator = image.metadata().locator().orElseThrow();
        Path found = new ParentSearch(child, locator.paths(), options).open(seen, real -> {
            VhdxImage parent =
                    VhdxImage.open(options.storage().open(real, options.access(), options.folders()), options);
            try {
                checkFits(locator, image, parent);
            } catch (DiskException e) {
                parent.close();
                throw e;
            }
            images.add(parent);
            return real;
        });
        seen.add(found);
        return found;
    }

    private static void checkFits(ParentLocator locator, VhdxImage child, VhdxImage parent) {
        if (!locator.links(parent.headers.current().dataWrite())) {
            throw new DiskException(
                    Kind.PARENT_CHANGED,
                    child.file.name(),
                    "its parent " + parent.file.name() + " was modified after this disk was made: it carries "
                            + parent.headers.current().dataWrite() + ", this disk expects "
                            + locator.get(ParentLocator.LINKAGE).orElse("nothing"),
                    "restore the parent as it was; if you know that its content is the same, use 'torte vhd reconnect'");
        }
        if (child.metadata().logicalSectorSize() != parent.metadata().logicalSectorSize()) {
            throw VhdxImage.damaged(
                    child.file.name(),
                    "its sectors have " + child.metadata().logicalSectorSize() + " bytes and those of its parent "
                            + parent.metadata().logicalSectorSize());
        }
    }

    /** The locator that a child at {@code child} needs for a parent at {@code parent}, both absolute and real. */
    static ParentLocator locate(Path child, Path parent, java.util.UUID linkage) {
        return new ParentLocator(java.util.Map.of())
                .with(ParentLocator.LINKAGE, ParentLocator.format(linkage))
                .with(ParentLocator.LINKAGE_2, ParentLocator.format(Layout.NIL))
                .with(ParentLocator.RELATIVE_PATH, ParentPath.relative(child, parent))
                .with(ParentLocator.ABSOLUTE_PATH, parent.toString());
    }
}
