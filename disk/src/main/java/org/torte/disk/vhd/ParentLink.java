package org.torte.disk.vhd;

import java.io.IOException;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.torte.disk.AllowedFolders;
import org.torte.disk.DiskException;
import org.torte.disk.DiskException.Kind;
import org.torte.disk.DiskFile;
import org.torte.disk.DiskOptions;
import org.torte.disk.ParentPath;

/** The paths by which a differencing VHD names its parent. */
final class ParentLink {
    /** Relative path, UTF-16LE. */
    static final int W2RU = 0x57327275;
    /** Absolute path, UTF-16LE. */
    static final int W2KU = 0x57326b75;

    private static final int LONGEST = 64 << 10;

    private ParentLink() {}

    /** One path and its kind. */
    record Written(int platform, String path) {
        byte[] encode() {
            return path.getBytes(StandardCharsets.UTF_16LE);
        }
    }

    /** What a child at {@code child} writes about its parent. */
    static List<Written> written(Path child, Path parent) {
        return List.of(
                new Written(W2RU, ParentPath.relative(child, parent)),
                new Written(W2KU, parent.toAbsolutePath().normalize().toString()));
    }

    /** Where the paths lie in the file, and the end of the space they take. */
    record Place(List<DynamicHeader.Locator> locators, long end) {
        Place {
            locators = List.copyOf(locators);
        }
    }

    /** Writes the paths from {@code start}, a multiple of {@link BlockSpace#ALIGNMENT}, on. */
    static Place write(DiskFile file, List<Written> links, long start) throws IOException {
        List<DynamicHeader.Locator> locators = new ArrayList<>();
        long at = start;
        for (Written link : links) {
            byte[] bytes = link.encode();
            int space = (int) DynamicHeader.roundUp(bytes.length, BlockSpace.ALIGNMENT);
            locators.add(new DynamicHeader.Locator(link.platform(), space, bytes.length, at));
            file.write(at, bytes);
            at += space;
        }
        return new Place(locators, at);
    }

    /** The paths in the locators that can be read, relative ones first. */
    static List<Written> read(DiskFile file, DynamicHeader header) throws IOException {
        List<Written> found = new ArrayList<>();
        for (DynamicHeader.Locator locator : header.locators()) {
            Charset charset =
                    locator.platform() == W2RU || locator.platform() == W2KU ? StandardCharsets.UTF_16LE : null;
            boolean sane = locator.length() > 0
                    && locator.length() <= LONGEST
                    && locator.offset() >= VhdFooter.SIZE
                    && locator.offset() <= file.size() - locator.length();
            if (charset != null && sane) {
                byte[] bytes = new byte[locator.length()];
                file.read(locator.offset(), bytes);
                String path = new String(bytes, charset);
                int end = path.indexOf('\0');
                Written written = new Written(locator.platform(), end < 0 ? path : path.substring(0, end));
                found.add(locator.platform() == W2RU ? 0 : found.size(), written);
            }
        }
        return found;
    }

    /** The first path of the parent as written, for people. */
    static Optional<String> shown(DiskFile file, DynamicHeader header) throws IOException {
        List<Written> paths = read(file, header);
        if (!paths.isEmpty()) {
            return Optional.of(paths.getFirst().path());
        }
        return header.parentName().isEmpty() ? Optional.empty() : Optional.of(header.parentName());
    }

    /**
     * Where the parent is: the first of the relative path, the absolute path, and a file of the same name beside the
     * child that exists. The identifier is checked by the caller.
     */
    static Path find(Path child, DiskFile file, DynamicHeader header, DiskOptions options) throws IOException {
        Set<Path> candidates = new LinkedHashSet<>();
        List<Written> paths = read(file, header);
        for (Written written : paths) {
            ParentPath.onHost(child, written.path()).ifPresent(candidates::add);
        }
        for (Written written : paths) {
            ParentPath.onHost(child, ParentPath.lastName(written.path())).ifPresent(candidates::add);
        }
        ParentPath.onHost(child, ParentPath.lastName(header.parentName())).ifPresent(candidates::add);
        DiskException refused = null;
        for (Path candidate : candidates) {
            if (options.storage().exists(candidate)) {
                try {
                    return options.storage().resolve(candidate, options.folders());
                } catch (DiskException e) {
                    refused = e;
                }
            }
        }
        if (refused != null) {
            throw refused;
        }
        String shown = shown(file, header).orElse("(not named)");
        throw new DiskException(
                Kind.PARENT_MISSING,
                file.name(),
                "its parent " + shown + " cannot be found",
                "put the parent back, or say where it is with 'torte vhd reconnect'");
    }

    /** The child's path with links followed, so that relative paths start where the file really is. */
    static Path real(Path child, DiskOptions options) {
        return options.storage().resolve(child, AllowedFolders.everywhere());
    }
}
