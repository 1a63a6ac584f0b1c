package org.torte.disk.vhdx;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.torte.disk.DiskAccess;
import org.torte.disk.DiskException;
import org.torte.disk.DiskException.Kind;
import org.torte.disk.DiskFile;
import org.torte.disk.DiskOptions;

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
        Optional<DiskException> refusal = Optional.empty();
        List<Path> candidates = candidates(locator, child);
        for (Path candidate : candidates) {
            if (!options.storage().exists(candidate)) {
                continue;
            }
            try {
                Path real = options.storage().resolve(candidate, options.folders());
                if (seen.contains(real)) {
                    throw new DiskException(
                            Kind.PARENT_CYCLE,
                            child.toString(),
                            "its parent " + real + " is the disk itself or one of its children",
                            "reconnect it to the parent it was made from");
                }
                VhdxImage parent =
                        VhdxImage.open(options.storage().open(real, options.access(), options.folders()), options);
                images.add(parent);
                checkFits(locator, image, parent);
                seen.add(real);
                return real;
            } catch (DiskException e) {
                if (images.getLast() != image) {
                    images.removeLast().close();
                }
                // A copy in another place may be the right one; if there is none, the first refusal tells why.
                refusal = Optional.of(refusal.orElse(e));
            }
        }
        throw refusal.orElseGet(() -> new DiskException(
                Kind.PARENT_MISSING,
                child.toString(),
                "its parent is missing; it was looked for at " + candidates,
                "put the parent there, or name its new place with 'torte vhd reconnect'"));
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

    /** Where the locator says that the parent may be, in the order of the specification. */
    static List<Path> candidates(ParentLocator locator, Path child) {
        List<Path> found = new ArrayList<>();
        locator.get(ParentLocator.RELATIVE_PATH).ifPresent(text -> add(found, child, text));
        locator.get(ParentLocator.VOLUME_PATH).ifPresent(text -> add(found, child, text));
        locator.get(ParentLocator.ABSOLUTE_PATH).ifPresent(text -> add(found, child, text));
        return found;
    }

    private static void add(List<Path> found, Path child, String text) {
        String plain = text.startsWith("\\\\?\\") ? text.substring(4) : text;
        // Windows writes backslashes; on this host they may also belong to a name.
        for (String form : new String[] {plain.replace('\\', '/'), plain}) {
            if (form.indexOf('\0') < 0) {
                Path path = child.resolveSibling(form).normalize();
                if (!found.contains(path)) {
                    found.add(path);
                }
            }
        }
    }

    /** The locator that a child at {@code child} needs for a parent at {@code parent}, both absolute and real. */
    static ParentLocator locate(Path child, Path parent, java.util.UUID linkage) {
        Path folder = child.getParent();
        Path relative = folder == null ? parent : folder.relativize(parent);
        String text = relative.toString();
        String windows = text.indexOf('\\') >= 0 ? text : text.replace('/', '\\');
        return new ParentLocator(java.util.Map.of())
                .with(ParentLocator.LINKAGE, ParentLocator.format(linkage))
                .with(ParentLocator.LINKAGE_2, ParentLocator.format(Layout.NIL))
                .with(ParentLocator.RELATIVE_PATH, windows.startsWith("..") ? windows : ".\\" + windows)
                .with(ParentLocator.ABSOLUTE_PATH, parent.toString());
    }
}
