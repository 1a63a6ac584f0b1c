package org.torte.cli;

import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import org.torte.disk.DiskFormat;
import org.torte.worker.DiskSource;

/** A disk as people write it on command lines: {@code FILE[,ro][,format=F]}. */
public final class DiskOption {
    private DiskOption() {}

    /**
     * Reads it. What follows the last commas are options if it looks like one; file names may have commas, too.
     *
     * @param name of the option, for the error
     * @throws UsageException when it is no such thing
     */
    public static DiskSource parse(String name, String text) {
        String file = text;
        boolean readOnly = false;
        DiskFormat format = null;
        while (true) {
            int comma = file.lastIndexOf(',');
            String option = comma < 0 ? "" : file.substring(comma + 1);
            if (option.equals("ro")) {
                readOnly = true;
            } else if (option.startsWith("format=")) {
                format = format(name, option.substring("format=".length()));
            } else {
                break;
            }
            file = file.substring(0, comma);
        }
        Path path = path(name, file);
        return new DiskSource(path, format == null ? DiskSource.formatOf(path) : format, readOnly);
    }

    private static DiskFormat format(String option, String format) {
        return switch (format) {
            case "raw" -> DiskFormat.RAW;
            case "vhd" -> DiskFormat.VHD;
            case "vhdx" -> DiskFormat.VHDX;
            default ->
                throw new UsageException(option + " knows the formats raw, vhd and vhdx, not \"" + format + "\"");
        };
    }

    /** The path of a file, for the option of a name. */
    static Path path(String option, String text) {
        try {
            if (!text.isEmpty()) {
                return Path.of(text);
            }
        } catch (InvalidPathException e) {
            throw new UsageException(option + " takes the path of a file, not \"" + text + "\"", e);
        }
        throw new UsageException(option + " takes the path of a file, not an empty one");
    }
}
