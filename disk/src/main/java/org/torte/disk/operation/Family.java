package org.torte.disk.operation;

import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.torte.disk.DiskException;
import org.torte.disk.DiskFormat;
import org.torte.disk.DiskInfo;
import org.torte.disk.DiskOptions;
import org.torte.disk.ParentPath;
import org.torte.disk.VirtualDisk;
import org.torte.disk.VirtualDisks;

/** The relatives of an image: its chain of parents, and its children as far as they can be found. */
public final class Family {
    private Family() {}

    /** What the images of a chain say about themselves, the named one first. */
    public static List<DiskInfo> chain(Path path, DiskFormat format, DiskOptions options) {
        List<DiskInfo> infos = new ArrayList<>();
        try (VirtualDisk disk = VirtualDisks.open(path, format, options.withOpenParents(true))) {
            for (Optional<VirtualDisk> next = Optional.of(disk);
                    next.isPresent();
                    next = next.get().parent()) {
                infos.add(next.get().info());
            }
        }
        return infos;
    }

    /** The images in the folder of {@code parent} that name it as their parent. Children elsewhere cannot be found. */
    public static List<Path> children(Path parent, DiskOptions options) {
        Path real = options.storage().resolve(parent, options.folders());
        Path folder = real.getParent();
        List<Path> children = new ArrayList<>();
        Set<Path> candidates = new LinkedHashSet<>();
        if (folder != null && Files.isDirectory(folder)) {
            try (DirectoryStream<Path> files = Files.newDirectoryStream(folder)) {
                files.forEach(candidates::add);
            } catch (IOException e) {
                throw new DiskException(
                        DiskException.Kind.INPUT_OUTPUT,
                        folder.toString(),
                        "its children cannot be looked for (" + e.getMessage() + ")",
                        "check the folder",
                        e);
            }
        }
        for (Path candidate : candidates) {
            Optional<DiskFormat> format = DiskFormat.ofName(candidate).filter(f -> f != DiskFormat.RAW);
            if (format.isPresent() && !candidate.equals(real) && names(candidate, format.get(), real, options)) {
                children.add(candidate);
            }
        }
        return children;
    }

    private static boolean names(Path child, DiskFormat format, Path parent, DiskOptions options) {
        DiskOptions inspect =
                options.withAccess(org.torte.disk.DiskAccess.INSPECT).withOpenParents(false);
        try (VirtualDisk disk = VirtualDisks.open(child, format, inspect)) {
            Optional<Path> named = disk.info().parent().flatMap(p -> ParentPath.onHost(child, p));
            return named.isPresent()
                    && options.storage().exists(named.get())
                    && options.storage().resolve(named.get(), options.folders()).equals(parent);
        } catch (DiskException e) {
            // What is no readable image is nobody's child.
            return false;
        }
    }
}
