package org.torte.disk.operation;

import java.nio.file.Path;
import java.util.List;
import java.util.UUID;
import org.torte.disk.DiskException;
import org.torte.disk.DiskException.Kind;
import org.torte.disk.DiskFormat;
import org.torte.disk.DiskInfo;
import org.torte.disk.DiskOptions;
import org.torte.disk.DiskType;
import org.torte.disk.VirtualDisk;
import org.torte.disk.VirtualDisks;

/** Tells a differencing disk where its parent is, as Set-VHD -ParentPath does. */
public final class Reconnect {
    private Reconnect() {}

    /**
     * Changes the parent.
     *
     * @param ignoreMismatch whether a parent with another identifier than the child remembers is accepted, as Set-VHD
     *     -IgnoreIdMismatch does: the caller knows that its content is what the child was made from
     * @throws DiskException PARENT_CHANGED for another disk, PARENT_CYCLE when the parent is the child itself or one of
     *     its own children
     */
    public static void run(Path child, DiskFormat format, Path parent, boolean ignoreMismatch, DiskOptions options) {
        Path real = options.storage().resolve(child, options.folders());
        Path target = options.storage().resolve(parent, options.folders());
        DiskInfo found = checked(real, format, target, ignoreMismatch, options);
        ParentIdentity.set(real, format, target, found.contentIdentifier(), options);
    }

    /** Throws what {@link #run} would throw before it changes anything. */
    public static DiskInfo checked(
            Path child, DiskFormat format, Path parent, boolean ignoreMismatch, DiskOptions options) {
        if (info(child, format, options).type() != DiskType.DIFFERENCING) {
            throw new DiskException(Kind.INVALID, child.toString(), "it has no parent", "name a differencing disk");
        }
        for (DiskInfo ancestor : Family.chain(parent, format, Convert.readOnly(options))) {
            if (Path.of(ancestor.image()).equals(child)) {
                throw new DiskException(
                        Kind.PARENT_CYCLE,
                        child.toString(),
                        "its parent would be the disk itself or one of its children",
                        "name the disk it was made from");
            }
        }
        DiskInfo found = info(parent, format, options);
        List<UUID> expected = ParentIdentity.expected(child, format, options);
        if (!ignoreMismatch && !expected.contains(found.contentIdentifier())) {
            throw new DiskException(
                    Kind.PARENT_CHANGED,
                    child.toString(),
                    parent + " has the identifier " + found.contentIdentifier() + " and not " + expected
                            + ", so it is another disk or was modified",
                    "name the right parent, or add --ignore-mismatch if you know that the content is the same");
        }
        return found;
    }

    private static DiskInfo info(Path path, DiskFormat format, DiskOptions options) {
        try (VirtualDisk disk =
                VirtualDisks.open(path, format, Convert.readOnly(options).withOpenParents(false))) {
            return disk.info();
        }
    }
}
