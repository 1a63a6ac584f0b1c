package org.torte.disk;

import java.io.IOException;
import java.nio.file.Path;

/** Makes the file of a new image, or none: one that could not be completed is deleted again. */
public final class NewFile {
    private NewFile() {}

    /** Writes what the new file holds. */
    @FunctionalInterface
    public interface Content {
        /** Writes into an empty file. */
        void write(DiskFile file) throws IOException;
    }

    /**
     * Makes a file, which is durable on return.
     *
     * @throws DiskException EXISTS, DENIED, NO_SPACE, INPUT_OUTPUT, and what {@code content} throws
     */
    public static void make(Path path, DiskOptions options, Content content) {
        DiskFile file = options.storage().create(path, options.folders());
        try {
            fill(file, content);
        } catch (RuntimeException | Error e) {
            try {
                options.storage().delete(Path.of(file.name()));
            } catch (DiskException left) {
                e.addSuppressed(left);
            }
            throw e;
        }
    }

    private static void fill(DiskFile file, Content content) {
        try (file) {
            content.write(file);
            file.force();
        } catch (IOException e) {
            throw new Faults(file.name()).of(e);
        }
    }
}
