package org.torte.disk.operation;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.torte.disk.AllowedFolders;
import org.torte.disk.DiskException;
import org.torte.disk.DiskFormat;
import org.torte.disk.DiskInfo;
import org.torte.disk.DiskOptions;
import org.torte.disk.ParentSearch;
import org.torte.disk.VirtualDisk;
import org.torte.disk.VirtualDisks;

/** The relatives of an image: its chain of parents, and its children as far as they can be found. */
public final class Family {
    /** How deep children are looked for in the allowed folders. */
    public static final int DEPTH = 8;

    /** Among how many files children are looked for in a folder and all below it. */
    public static final int MOST_FILES = 20_000;

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

    /**
     * The images that have {@code parent} as their parent, as far as they can be found: an image does not know its
     * children. They are looked for in its folder and, when the allowed folders are limited, in all of them and below;
     * at most {@link #DEPTH} folders deep, and among {@link #MOST_FILES} files. Links to folders are not followed.
     */
    public static List<Path> children(Path parent, DiskOptions options) {
        Path real = options.storage().resolve(parent, options.folders());
        Set<Path> candidates = new LinkedHashSet<>();
        Path folder = real.getParent();
        if (folder != null) {
            candidates.addAll(options.storage().files(folder, 1, MOST_FILES, AllowedFolders.everywhere()));
        }
        for (Path allowed : options.folders().folders()) {
            candidates.addAll(options.storage().files(allowed, DEPTH, MOST_FILES, options.folders()));
        }
        List<Path> children = new ArrayList<>();
        for (Path candidate : candidates) {
            Optional<DiskFormat> format = DiskFormat.ofName(candidate).filter(f -> f != DiskFormat.RAW);
            if (format.isPresent() && !candidate.equals(real) && isChild(candidate, format.get(), real, options)) {
                children.add(candidate);
            }
        }
        return children;
    }

    /** Whether an image would find another, by its path with links followed, as its parent. */
    static boolean isChild(Path candidate, DiskFormat format, Path parent, DiskOptions options) {
        try {
            List<String> paths = ParentIdentity.parentPaths(candidate, format, options);
            return new ParentSearch(candidate, paths, options)
                    .leadsTo(parent, other -> ParentIdentity.fits(candidate, other, format, options));
        } catch (DiskException e) {
            // What is no readable image is nobody's child.
            return false;
        }
    }
}
