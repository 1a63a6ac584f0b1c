package org.torte.disk;

import java.nio.file.Path;
import java.util.List;

/**
 * Where the files of images live: the host's file system ({@link #host()}), or memory in tests. Safe for use by several
 * threads.
 */
public interface DiskStorage {
    /** The host's files, locked against other processes and other openers in this one. */
    static DiskStorage host() {
        return HostStorage.INSTANCE;
    }

    /**
     * Opens a file that exists, with the lock that {@link DiskAccess} describes.
     *
     * @throws DiskException NOT_FOUND, DENIED, IN_USE or INPUT_OUTPUT
     */
    DiskFile open(Path path, DiskAccess access, AllowedFolders folders);

    /**
     * Makes an empty file and opens it for reading and writing.
     *
     * @throws DiskException EXISTS, DENIED, NO_SPACE or INPUT_OUTPUT
     */
    DiskFile create(Path path, AllowedFolders folders);

    /**
     * The path with symbolic links followed.
     *
     * @throws DiskException NOT_FOUND or DENIED
     */
    Path resolve(Path path, AllowedFolders folders);

    /**
     * The path that a new file will have: its folder with symbolic links followed, and its name.
     *
     * @throws DiskException INVALID, NOT_FOUND or DENIED
     */
    default Path resolveNew(Path path, AllowedFolders folders) {
        Path absolute = path.toAbsolutePath().normalize();
        Path folder = absolute.getParent();
        Path name = absolute.getFileName();
        if (folder == null || name == null) {
            throw new DiskException(
                    DiskException.Kind.INVALID, path.toString(), "it does not name a file", "name a file");
        }
        Path real = resolve(folder, AllowedFolders.everywhere()).resolve(name);
        folders.check(real);
        return real;
    }

    /**
     * Gives a file another name, which must be free, durably.
     *
     * @throws DiskException EXISTS, DENIED or INPUT_OUTPUT
     */
    void rename(Path from, Path to, AllowedFolders folders);

    /**
     * The regular files in a folder, sorted; a folder that cannot be read counts as empty.
     *
     * @param depth how many levels of folders to look into: 1 for this one only. Links to folders are not followed
     * @param most where to stop
     */
    List<Path> files(Path folder, int depth, int most, AllowedFolders folders);

    /** Whether there is a file at this path. */
    boolean exists(Path path);

    /** Deletes a file if it is there, durably. */
    void delete(Path path);

    /** When a file was last modified, in nanoseconds since 1970, as far as the storage knows; otherwise 0. */
    long modified(Path path);

    /** Bytes that files of this user may still take where a file lies. */
    long usableSpace(Path path);
}
