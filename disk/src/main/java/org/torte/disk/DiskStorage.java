package org.torte.disk;

import java.nio.file.Path;

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

    /** Whether there is a file at this path. */
    boolean exists(Path path);

    /** Deletes a file, for creations that failed half-way. */
    void delete(Path path);
}
