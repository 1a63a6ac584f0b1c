package org.torte.disk.operation;

import java.nio.file.Path;
import java.util.List;
import java.util.UUID;
import org.torte.disk.DiskAccess;
import org.torte.disk.DiskException;
import org.torte.disk.DiskException.Kind;
import org.torte.disk.DiskFormat;
import org.torte.disk.DiskOptions;
import org.torte.disk.VirtualDisk;
import org.torte.disk.VirtualDisks;
import org.torte.disk.vhd.VhdImages;
import org.torte.disk.vhdx.VhdxEdit;

/** How a child recognises its parent, in each format. */
final class ParentIdentity {
    private ParentIdentity() {}

    /** The identifiers that a child accepts of its parent. */
    static List<UUID> expected(Path child, DiskFormat format, DiskOptions options) {
        return switch (format) {
            case VHD -> List.of(VhdImages.parentIdentifier(child, options));
            case VHDX -> VhdxEdit.expected(child, options);
            case RAW -> throw unsupported(child, format);
        };
    }

    /** The paths by which a child names its parent, in the order in which they are tried; none without a parent. */
    static List<String> parentPaths(Path child, DiskFormat format, DiskOptions options) {
        return switch (format) {
            case VHD -> VhdImages.parentPaths(child, options);
            case VHDX -> VhdxEdit.parentPaths(child, options);
            case RAW -> List.of();
        };
    }

    /** Whether a file is what a child expects of its parent. */
    static boolean fits(Path child, Path parent, DiskFormat format, DiskOptions options) {
        DiskOptions inspect = options.withAccess(DiskAccess.INSPECT).withOpenParents(false);
        try (VirtualDisk disk = VirtualDisks.open(parent, format, inspect)) {
            return expected(child, format, options).contains(disk.info().contentIdentifier());
        } catch (DiskException e) {
            return false;
        }
    }

    /** Writes where the parent is and what identifies it. */
    static void set(Path child, DiskFormat format, Path parent, UUID identifier, DiskOptions options) {
        switch (format) {
            case VHD -> VhdImages.setParent(child, parent, identifier, options);
            case VHDX -> VhdxEdit.setParent(child, parent, identifier, options);
            case RAW -> throw unsupported(child, format);
        }
    }

    private static DiskException unsupported(Path child, DiskFormat format) {
        return new DiskException(
                Kind.UNSUPPORTED, child.toString(), "a " + format + " disk has no parent", "name a differencing disk");
    }
}
