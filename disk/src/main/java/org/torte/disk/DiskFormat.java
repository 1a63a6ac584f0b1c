package org.torte.disk;

import java.nio.file.Path;
import java.util.Locale;
import java.util.Optional;

/**
 * The format of an image. It always comes from the definition of a machine, from a parameter or from the file's name,
 * never from its content: a guest that owns a raw disk could write a header there that names any file of the host as
 * the parent.
 */
public enum DiskFormat {
    /** The content of the disk and nothing else; also block devices. */
    RAW,
    /** Virtual Hard Disk, up to 2040 GiB. */
    VHD,
    /** Virtual Hard Disk v2, up to 64 TiB, with a log. */
    VHDX;

    /** The format that the extension of a file's name stands for, if it stands for one. */
    public static Optional<DiskFormat> ofName(Path file) {
        Path last = file.getFileName();
        String name = last == null ? "" : last.toString().toLowerCase(Locale.ROOT);
        int dot = name.lastIndexOf('.');
        return switch (dot < 0 ? "" : name.substring(dot + 1)) {
            case "raw", "img", "bin" -> Optional.of(RAW);
            case "vhd", "avhd" -> Optional.of(VHD);
            case "vhdx", "avhdx" -> Optional.of(VHDX);
            default -> Optional.empty();
        };
    }
}
