package org.torte.disk.vhd;

import java.io.IOException;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.torte.disk.DiskFile;
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
     * The paths of the parent in the order in which they are to be tried: the relative one, the absolute one, and files
     * of the same names beside the child.
     */
    static List<String> paths(DiskFile file, DynamicHeader header) throws IOException {
        List<Written> links = read(file, header);
        List<String> paths = new ArrayList<>();
        links.forEach(link -> paths.add(link.path()));
        links.forEach(link -> paths.add(ParentPath.lastName(link.path())));
        paths.add(ParentPath.lastName(header.parentName()));
        return paths;
    }
}
