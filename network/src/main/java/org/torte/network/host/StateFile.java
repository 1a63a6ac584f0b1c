package org.torte.network.host;

import com.fasterxml.jackson.jr.ob.JSON;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Map;
import java.util.Optional;
import org.torte.network.NetworkException;

/**
 * A small JSON file that says what was changed at the host's interfaces. It is replaced as a whole, so who dies leaves the old one
 * or the new one; it need not outlive the kernel, whose interfaces it is about.
 */
final class StateFile {
    private StateFile() {}

    /** Which start of the host's kernel this is. */
    static String boot() {
        try {
            return Files.readString(Path.of("/proc/sys/kernel/random/boot_id")).strip();
        } catch (IOException e) {
            throw new NetworkException("the host's kernel does not say which start this is: " + e.getMessage(), e);
        }
    }

    static Optional<Shown> read(Path file, int version) {
        try {
            if (!Files.exists(file)) {
                return Optional.empty();
            }
            Optional<Shown> read = Shown.parse("[" + Files.readString(file) + "]", file.toString()).stream()
                    .findFirst()
                    .filter(one -> one.number("version") == version);
            if (read.isEmpty()) {
                throw new NetworkException(
                        file + " is another version's, or damaged: see with ip link what there is, put it"
                                + " right, and delete the file");
            }
            return read;
        } catch (IOException e) {
            throw new NetworkException(file + " cannot be read: " + e.getMessage(), e);
        }
    }

    static void replace(Path file, Map<String, Object> content) {
        Path fresh = file.resolveSibling(file.getFileName() + ".new");
        try {
            Files.writeString(fresh, JSON.std.asString(content));
            Files.move(fresh, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        } catch (IOException e) {
            throw new NetworkException(file + " cannot be written: " + e.getMessage(), e);
        }
    }

    static void delete(Path file) {
        try {
            Files.deleteIfExists(file);
        } catch (IOException e) {
            throw new NetworkException(file + " cannot be deleted: " + e.getMessage(), e);
        }
    }
}
