package org.torte.disk;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;

/**
 * Which folders images and their parents may lie in. The names inside an image are data from elsewhere: without this
 * policy an imported disk could name any file of the host as its parent and show it to the guest.
 *
 * @param folders absolute folders; an image must lie in one of them or below, after symbolic links are followed. Empty:
 *     everywhere, for the command line where the user could read the file anyway
 */
public record AllowedFolders(List<Path> folders) {
    private static final AllowedFolders EVERYWHERE = new AllowedFolders(List.of());

    /** Copies the list. */
    public AllowedFolders {
        folders = List.copyOf(folders);
    }

    /** No restriction. */
    public static AllowedFolders everywhere() {
        return EVERYWHERE;
    }

    /** These folders and all below them. */
    public static AllowedFolders of(Path... folders) {
        if (folders.length == 0) {
            throw new IllegalArgumentException("name at least one folder");
        }
        return new AllowedFolders(List.of(folders));
    }

    /**
     * Refuses a path that is not allowed.
     *
     * @param real the path of a file with symbolic links followed
     * @throws DiskException DENIED
     */
    public void check(Path real) {
        if (folders.isEmpty()) {
            return;
        }
        for (Path folder : folders) {
            if (real.startsWith(followed(folder))) {
                return;
            }
        }
        throw new DiskException(
                DiskException.Kind.DENIED,
                real.toString(),
                "it lies outside the folders allowed for virtual disks",
                "move it into one of " + folders + " or allow its folder");
    }

    private static Path followed(Path folder) {
        try {
            return folder.toRealPath();
        } catch (IOException e) {
            return folder.toAbsolutePath().normalize();
        }
    }
}
