package org.torte.worker.guest;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.torte.worker.InputException;

/**
 * Where the packages of a guest come from.
 *
 * @param mirror the address of a Debian archive, or nothing for the sources that this system is set up for
 * @param suite the archive's release, such as {@code bookworm}; without a mirror it has no meaning
 */
public record PackageSource(Optional<String> mirror, String suite) {
    /** The package sources that this system is set up for. */
    public static PackageSource host() {
        return new PackageSource(Optional.empty(), "");
    }

    /**
     * An archive.
     *
     * @throws InputException when address or release hold what apt would take for something else
     */
    public static PackageSource of(String mirror, String suite) {
        if (!mirror.matches("[a-z+]+:/[!-~]*") || mirror.indexOf('[') >= 0) {
            throw new InputException(
                    "--mirror takes the address of a Debian archive, such as http://HOST/debian, not \"" + mirror
                            + "\"");
        }
        if (!suite.matches("[a-z0-9][a-z0-9-]*")) {
            throw new InputException("--suite takes a Debian release, such as trixie, not \"" + suite + "\"");
        }
        return new PackageSource(Optional.of(mirror), suite);
    }

    /** What mmdebstrap takes for it: the release, the file that it writes, and the sources. */
    public List<String> forMmdebstrap(Path written) {
        List<String> words = new ArrayList<>();
        if (mirror.isPresent()) {
            return List.of(suite, written.toString(), mirror.get());
        }
        // An empty release with files of sources takes those as they are.
        words.add("");
        words.add(written.toString());
        Path single = Path.of("/etc/apt/sources.list");
        if (Files.isReadable(single)) {
            words.add(single.toString());
        }
        try (var more = Files.newDirectoryStream(Path.of("/etc/apt/sources.list.d"), "{debian,*}.{list,sources}")) {
            more.forEach(path -> words.add(path.toString()));
        } catch (IOException e) {
            // Then there are no more.
            return words;
        }
        return words;
    }
}
