package org.torte.disk.vhd;

import java.io.IOException;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.UUID;
import java.util.function.LongConsumer;
import org.jspecify.annotations.Nullable;
import org.torte.disk.CheckReport;
import org.torte.disk.CreateOptions;
import org.torte.disk.DiskAccess;
import org.torte.disk.DiskException;
import org.torte.disk.DiskException.Kind;
import org.torte.disk.DiskFile;
import org.torte.disk.DiskOptions;
import org.torte.disk.DiskSize;
import org.torte.disk.DiskType;
import org.torte.disk.Faults;
import org.torte.disk.ParentSearch;
import org.torte.disk.VirtualDisk;

/** Opens, makes and checks VHD images. */
public final class VhdImages {
    /** The block size of new images: all that Windows accepts. */
    static final int DEFAULT_BLOCK = 2 << 20;

    private VhdImages() {}

    /** Opens an image and, if the options say so, its parents. */
    public static VirtualDisk open(Path path, DiskOptions options) {
        return open(path, options, null, new HashSet<>());
    }

    /**
     * Opens a differencing image over a parent that is open already and is owned by the image from now on. The caller
     * answers for it being the right one.
     */
    public static VirtualDisk openOver(Path path, DiskOptions options, VirtualDisk parent) {
        return open(path, options, parent, new HashSet<>());
    }

    private static VirtualDisk open(Path path, DiskOptions options, @Nullable VirtualDisk given, Set<Path> chain) {
        Path real = options.storage().resolve(path, options.folders());
        chain.add(real);
        DiskFile file = options.storage().open(real, options.access(), options.folders());
        VirtualDisk parent = given;
        try {
            VhdLayout layout = VhdLayout.read(file);
            if (layout.footer().type() == VhdFooter.FIXED) {
                return new FixedVhd(layout);
            }
            if (layout.footer().type() == VhdFooter.DIFFERENCING && given == null && options.openParents()) {
                parent = openParent(real, layout, options, chain);
            }
            return new DynamicVhd(layout, parent, options.metadataCache());
        } catch (IOException e) {
            closeQuietly(file, parent, e);
            throw new Faults(file.name()).of(e);
        } catch (RuntimeException | Error e) {
            closeQuietly(file, parent, e);
            throw e;
        }
    }

    private static void closeQuietly(DiskFile file, @Nullable VirtualDisk parent, Throwable reason) {
        try (file;
                parent) {
            return;
        } catch (IOException | DiskException e) {
            reason.addSuppressed(e);
        }
    }

    private static VirtualDisk openParent(Path child, VhdLayout layout, DiskOptions options, Set<Path> chain)
            throws IOException {
        DynamicHeader header = layout.dynamic();
        DiskAccess access = options.access() == DiskAccess.INSPECT ? DiskAccess.INSPECT : DiskAccess.READ_ONLY;
        List<String> paths = ParentLink.paths(layout.file(), header);
        return new ParentSearch(child, paths, options).open(chain, where -> {
            VirtualDisk parent = open(where, options.withAccess(access), null, new HashSet<>(chain));
            UUID found = parent.info().identifier();
            if (!found.equals(header.parentIdentifier())) {
                parent.close();
                throw new DiskException(
                        Kind.PARENT_CHANGED,
                        child.toString(),
                        "its parent " + where + " is another disk than the one it was made from (identifier " + found
                                + " instead of " + header.parentIdentifier() + ")",
                        "put the right parent back, or name it with 'torte vhd reconnect'");
            }
            return parent;
        });
    }

    /** Makes an image; it is durable on return. */
    public static void create(Path path, CreateOptions create, DiskOptions options) {
        new VhdCreation(path, create, options).run();
    }

    /** Checks an image, and repairs what loses nothing. */
    public static CheckReport check(Path path, DiskOptions options, boolean repair) {
        return VhdCheck.run(path, options, repair);
    }

    /**
     * Points a differencing image to another parent: its identifier and its path. The image must not be open; a crash
     * leaves the old parent or the new one.
     *
     * @param identifier what the parent must be from now on
     */
    public static void setParent(Path path, Path parent, UUID identifier, DiskOptions options) {
        VhdEdit.setParent(path, parent, identifier, options);
    }

    /** Gives the disk another identifier. The image must not be open. */
    public static void setIdentifier(Path path, UUID identifier, DiskOptions options) {
        VhdEdit.setIdentifier(path, identifier, options);
    }

    /**
     * Closes the gaps between blocks and cuts the file. The image must not be open; interrupted anywhere it reads the
     * same.
     *
     * @param moved told the bytes moved so far; what it throws ends the operation
     */
    public static void compact(Path path, DiskOptions options, LongConsumer moved) {
        DiskOptions alone = options.withOpenParents(false);
        try (VirtualDisk disk = open(path, alone)) {
            if (disk instanceof DynamicVhd vhd) {
                DynamicCompact.run(vhd.image(), moved);
            }
        }
        // Opening it once more cuts off what is no longer in use.
        open(path, alone).close();
    }

    /** The identifier that a differencing image expects of its parent; nil for others. */
    public static UUID parentIdentifier(Path path, DiskOptions options) {
        return inspect(path, options, layout -> {
            DynamicHeader header = layout.header();
            return header == null ? VhdLayout.NIL : header.parentIdentifier();
        });
    }

    /** The paths by which an image names its parent, in the order in which they are tried; none without a parent. */
    public static List<String> parentPaths(Path path, DiskOptions options) {
        return inspect(path, options, layout -> {
            DynamicHeader header = layout.header();
            boolean differencing = layout.footer().type() == VhdFooter.DIFFERENCING;
            return header == null || !differencing ? List.of() : ParentLink.paths(layout.file(), header);
        });
    }

    private interface Look<T> {
        T at(VhdLayout layout) throws IOException;
    }

    private static <T> T inspect(Path path, DiskOptions options, Look<T> look) {
        Path real = options.storage().resolve(path, options.folders());
        try (DiskFile file = options.storage().open(real, DiskAccess.INSPECT, options.folders())) {
            return look.at(VhdLayout.read(file));
        } catch (IOException e) {
            throw new Faults(real.toString()).of(e);
        }
    }

    static void checkSize(String image, long size) {
        DiskSize.check(
                image,
                size,
                VhdFooter.SECTOR,
                VhdFooter.LARGEST,
                "a VHD cannot be larger than 2040 GiB",
                "choose a smaller size or VHDX");
    }

    static DiskException invalid(String image, String problem, String remedy) {
        return new DiskException(Kind.INVALID, image, problem, remedy);
    }

    static int typeCode(DiskType type) {
        return switch (type) {
            case FIXED -> VhdFooter.FIXED;
            case DYNAMIC -> VhdFooter.DYNAMIC;
            case DIFFERENCING -> VhdFooter.DIFFERENCING;
        };
    }
}
