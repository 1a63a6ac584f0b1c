package org.torte.disk.operation;

import java.nio.file.Path;
import java.util.UUID;
import org.torte.disk.DiskException;
import org.torte.disk.DiskException.Kind;
import org.torte.disk.DiskFormat;
import org.torte.disk.DiskOptions;
import org.torte.disk.VirtualDisk;
import org.torte.disk.VirtualDisks;
import org.torte.disk.vhd.VhdImages;

/** How a child recognises its parent, in each format. */
final class ParentIdentity {
    private ParentIdentity() {}

    /** The identifier that a child expects of its parent. */
    static UUID expected(Path child, DiskFormat format, DiskOptions options) {
        return switch (format) {
            case VHD -> VhdImages.parentIdentifier(child, options);
            case VHDX, RAW -> throw unsupported(child, format);
        };
    }

    /** Writes where the parent is and what identifies it. */
    static void set(Path child, DiskFormat format, Path parent, UUID identifier, DiskOptions options) {
        switch (format) {
            case VHD -> VhdImages.setParent(child, parent, identifier, options);
            case VHDX, RAW -> throw unsupported(child, format);
        }
    }

    /** Before the parent changes: lets the child know the identifier that the parent will have. A VHD keeps its own. */
    static void prepare(Path child, Path parent, DiskFormat format, DiskOptions options) {
        if (format == DiskFormat.RAW) {
            throw unsupported(child, format);
        }
    }

    /** Opens the parent for writing, with the identifier that {@link #prepare} announced. */
    static VirtualDisk openParent(Path child, Path parent, DiskFormat format, DiskOptions options) {
        return VirtualDisks.open(parent, format, options);
    }

    private static DiskException unsupported(Path child, DiskFormat format) {
        return new DiskException(
                Kind.UNSUPPORTED, child.toString(), "a " + format + " disk has no parent", "name a differencing disk");
    }
}
