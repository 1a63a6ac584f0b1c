package org.torte.disk;

import java.nio.file.Path;
import org.torte.disk.operation.Merge;
import org.torte.disk.raw.RawDisk;
import org.torte.disk.vhd.VhdImages;
import org.torte.disk.vhdx.VhdxCheck;
import org.torte.disk.vhdx.VhdxCreate;
import org.torte.disk.vhdx.VhdxDisk;

/** Opens, makes and checks images. The format is always said, never guessed from the content. */
public final class VirtualDisks {
    private VirtualDisks() {}

    /**
     * Opens an image and, for a differencing disk, its chain of parents.
     *
     * @throws DiskException any kind; nothing was written if the image cannot be opened safely
     */
    public static VirtualDisk open(Path path, DiskFormat format, DiskOptions options) {
        VirtualDisk disk = switch (format) {
            case RAW -> RawDisk.open(path, options);
            case VHD -> VhdImages.open(path, options);
            case VHDX -> VhdxDisk.open(path, options);
        };
        if (!disk.readOnly()) {
            try {
                Merge.forget(Path.of(disk.info().image()), options);
            } catch (DiskException e) {
                disk.close();
                throw e;
            }
        }
        return disk;
    }

    /**
     * Makes an image; the file must not exist. A file that could not be completed is deleted again. The image is
     * durable on return, and closed.
     */
    public static void create(Path path, DiskFormat format, CreateOptions create, DiskOptions options) {
        switch (format) {
            case RAW -> RawDisk.create(path, create, options);
            case VHD -> VhdImages.create(path, create, options);
            case VHDX -> VhdxCreate.create(path, create, options);
        }
    }

    /**
     * Checks an image more strictly than opening does.
     *
     * @param repair whether to repair what can be repaired without losing data; needs read-write options
     */
    public static CheckReport check(Path path, DiskFormat format, DiskOptions options, boolean repair) {
        return switch (format) {
            case RAW -> RawDisk.check(path, options);
            case VHD -> VhdImages.check(path, options, repair);
            case VHDX -> VhdxCheck.check(path, options, repair);
        };
    }
}
