package org.torte.disk;

import org.torte.base.RandomSource;

/**
 * How to open an image.
 *
 * @param access reading or writing; parents are always opened for reading
 * @param folders where the image and its parents may lie
 * @param storage where the files are
 * @param random source of the identifiers that opening for writing changes
 * @param metadataCache upper limit for cached metadata in bytes, for each image of a chain
 * @param volumes what the paths of Windows mean by which images name their parents
 * @param openParents whether to open the parents of a differencing disk; without them only metadata can be read
 */
public record DiskOptions(
        DiskAccess access,
        AllowedFolders folders,
        DiskStorage storage,
        RandomSource random,
        long metadataCache,
        WindowsVolumes volumes,
        boolean openParents) {
    /** The default for {@link #metadataCache()}: 16 MiB. */
    public static final long DEFAULT_METADATA_CACHE = 16L << 20;

    /** One for all: making it takes longer than opening a small image. */
    private static final RandomSource RANDOM = RandomSource.secure();

    /** Reading and writing, everywhere on the host. */
    public static DiskOptions readWrite() {
        return new DiskOptions(
                DiskAccess.READ_WRITE,
                AllowedFolders.everywhere(),
                DiskStorage.host(),
                RANDOM,
                DEFAULT_METADATA_CACHE,
                WindowsVolumes.none(),
                true);
    }

    /** Reading, everywhere on the host. */
    public static DiskOptions readOnly() {
        return readWrite().withAccess(DiskAccess.READ_ONLY);
    }

    /** Looking at metadata without a lock and without parents, everywhere on the host. */
    public static DiskOptions inspect() {
        return readWrite().withAccess(DiskAccess.INSPECT).withOpenParents(false);
    }

    /** The same with another access. */
    public DiskOptions withAccess(DiskAccess other) {
        return new DiskOptions(other, folders, storage, random, metadataCache, volumes, openParents);
    }

    /** The same with other allowed folders. */
    public DiskOptions withFolders(AllowedFolders other) {
        return new DiskOptions(access, other, storage, random, metadataCache, volumes, openParents);
    }

    /** The same on other storage. */
    public DiskOptions withStorage(DiskStorage other) {
        return new DiskOptions(access, folders, other, random, metadataCache, volumes, openParents);
    }

    /** The same with another source of identifiers. */
    public DiskOptions withRandom(RandomSource other) {
        return new DiskOptions(access, folders, storage, other, metadataCache, volumes, openParents);
    }

    /** The same with another limit for cached metadata, in bytes. */
    public DiskOptions withMetadataCache(long other) {
        return new DiskOptions(access, folders, storage, random, other, volumes, openParents);
    }

    /** The same with other meanings of Windows' paths. */
    public DiskOptions withVolumes(WindowsVolumes other) {
        return new DiskOptions(access, folders, storage, random, metadataCache, other, openParents);
    }

    /** The same with or without parents. */
    public DiskOptions withOpenParents(boolean other) {
        return new DiskOptions(access, folders, storage, random, metadataCache, volumes, other);
    }
}
