package org.torte.disk;

import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
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
        String host = folder.relativize(target).toString();
        // A backslash in a name of this host cannot be told from a separator: such a path keeps its slashes.
        String path = host.indexOf('\\') >= 0 ? host : host.replace('/', '\\');
        return path.startsWith("..") ? path : ".\\" + path;
    }

    /** Whether a path begins with a drive's letter, or with two backslashes: a volume or a share. */
    static boolean ofWindows(String written) {
        boolean drive = written.length() > 1 && written.charAt(1) == ':' && Character.isLetter(written.charAt(0));
        return drive || written.startsWith("\\\\");
    }

    /**
     * Where the file that a path in an image means may be on this host, the likeliest place first; none when it can
     * only mean something on Windows and nobody has said what.
     *
     * @param child the image, whose folder relative paths start from
     * @param volumes what absolute paths of Windows mean
     */
    public static List<Path> onHost(Path child, String written, WindowsVolumes volumes) {
        if (written.isEmpty() || written.indexOf('\0') >= 0) {
            return List.of();
        }
        List<Path> places = new ArrayList<>();
        try {
            if (ofWindows(written)) {
                Optional<Path> mapped = volumes.onHost(written);
                return mapped.map(List::of).orElse(List.of());
            }
            Path start = child.toAbsolutePath();
            if (!written.startsWith("/")) {
                places.add(start.resolveSibling(written.replace('\\', '/')).normalize());
            }
            Path literal = start.resolveSibling(withoutDot(written)).normalize();
            if (!places.contains(literal)) {
                places.add(literal);
            }
            return places;
        } catch (InvalidPathException e) {
            return places;
        }
    }

    private static String withoutDot(String written) {
        return written.startsWith(".\\") ? written.substring(2) : written;
    }

    /** The last part of a path in either spelling: the name of the parent's file beside the child. */
    public static String lastName(String written) {
        return written.substring(Math.max(written.lastIndexOf('/'), written.lastIndexOf('\\')) + 1);
    }
}
