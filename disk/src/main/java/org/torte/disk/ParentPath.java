package org.torte.disk;

import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.Optional;

/**
 * Paths of parents as images hold them: in Windows' spelling, with backslashes, relative ones beginning with
 * {@code .\}. Absolute paths of this host keep its spelling, so that they never mean anything on another one.
 */
public final class ParentPath {
    private ParentPath() {}

    /** How {@code child} names {@code parent} relative to its own folder, such as {@code .\base.vhdx}. */
    public static String relative(Path child, Path parent) {
        Path folder = child.toAbsolutePath().normalize().getParent();
        Path target = parent.toAbsolutePath().normalize();
        if (folder == null) {
            return ".\\" + target;
        }
        String path = folder.relativize(target).toString().replace('/', '\\');
        return path.startsWith("..\\") ? path : ".\\" + path;
    }

    /**
     * The host's path for a path in an image; nothing when it can only mean something on Windows, such as a drive's
     * letter or a volume's identifier.
     *
     * @param child the image, whose folder relative paths start from
     */
    public static Optional<Path> onHost(Path child, String written) {
        if (written.isEmpty() || written.indexOf('\0') >= 0) {
            return Optional.empty();
        }
        try {
            if (written.startsWith("/")) {
                return Optional.of(Path.of(written).normalize());
            }
            boolean windows = written.startsWith("\\\\") || (written.length() > 1 && written.charAt(1) == ':');
            return windows
                    ? Optional.empty()
                    : Optional.of(child.toAbsolutePath()
                            .resolveSibling(written.replace('\\', '/'))
                            .normalize());
        } catch (InvalidPathException e) {
            return Optional.empty();
        }
    }

    /** The last part of a path in either spelling: the name of the parent's file beside the child. */
    public static String lastName(String written) {
        return written.substring(Math.max(written.lastIndexOf('/'), written.lastIndexOf('\\')) + 1);
    }
}
