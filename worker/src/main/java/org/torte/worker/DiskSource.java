package org.torte.worker;

import java.nio.file.Path;
import org.torte.disk.DiskFormat;

/**
 * A disk of a machine.
 *
 * @param file the image
 * @param format its format, which is never guessed from what a guest may have written
 * @param readOnly whether the guest may only read it
 */
public record DiskSource(Path file, DiskFormat format, boolean readOnly) {
    /**
     * A disk that the guest may write, in the format that its name stands for.
     *
     * @throws InputException when the name stands for none
     */
    public static DiskSource of(Path file) {
        return new DiskSource(file, formatOf(file), false);
    }

    /**
     * The format that a file's name stands for.
     *
     * @throws InputException when it stands for none
     */
    public static DiskFormat formatOf(Path file) {
        return DiskFormat.ofName(file)
                .orElseThrow(() -> new InputException("the name of the disk " + file
                        + " does not say what format it has; add ,format=raw, ,format=vhd or ,format=vhdx"));
    }
}
