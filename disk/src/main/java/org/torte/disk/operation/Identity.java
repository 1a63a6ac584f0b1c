package org.torte.disk.operation;

import java.nio.file.Path;
import java.util.List;
import java.util.UUID;
import org.jspecify.annotations.Nullable;
import org.torte.disk.DiskException;
import org.torte.disk.DiskException.Kind;
import org.torte.disk.DiskFormat;
import org.torte.disk.DiskOptions;
import org.torte.disk.vhd.VhdImages;
import org.torte.disk.vhdx.VhdxEdit;

/** Changes what identifies a disk to its guest and the sector size it reports, as Set-VHD does. */
public final class Identity {
    private Identity() {}

    /**
     * Changes an image that is not open.
     *
     * @param identifier the new identifier, or null to keep it. A VHD's children know it by this: one that has any is
     *     refused
     * @param physicalSectorSize 512 or 4096, or 0 to keep it
     */
    public static void set(
            Path path, DiskFormat format, @Nullable UUID identifier, int physicalSectorSize, DiskOptions options) {
        switch (format) {
            case VHD -> setVhd(path, identifier, physicalSectorSize, options);
            case VHDX -> VhdxEdit.setIdentity(path, identifier, physicalSectorSize, options);
            case RAW ->
                throw new DiskException(
                        Kind.UNSUPPORTED,
                        path.toString(),
                        "a " + format + " image does not hold this",
                        "convert the disk to another format");
        }
    }

    private static void setVhd(Path path, @Nullable UUID identifier, int physicalSectorSize, DiskOptions options) {
        if (physicalSectorSize != 0 && physicalSectorSize != 512) {
            throw new DiskException(
                    Kind.INVALID, path.toString(), "a VHD has sectors of 512 bytes", "convert it to VHDX");
        }
        List<Path> children = Family.children(path, options);
        if (!children.isEmpty()) {
            throw new DiskException(
                    Kind.IN_USE,
                    path.toString(),
                    "it is the parent of " + children.getFirst() + ", which knows it by its identifier",
                    "merge or delete its children first");
        }
        if (identifier != null) {
            VhdImages.setIdentifier(path, identifier, options);
        }
    }
}
