package org.torte.disk;

import java.nio.file.Path;
import java.util.List;

/**
 * What merging needs of a format whose disks have parents: to write to a parent, and to take an image out of the chain,
 * while requests to the disk go on. Images are layers, counted from the disk itself, 0, to the one without a parent.
 *
 * <p>For one thread at a time; the disk's requests may be under way meanwhile if the disk is open for writing. When a
 * method throws, the chain is as sound as before and reads the same.
 */
public interface LayeredDisk extends VirtualDisk {
    /** The files of the layers, links followed. */
    List<Path> layers();

    /** One layer alone, PARENT where it has nothing. For reading, until the chain changes; owned by this disk. */
    VirtualDisk layer(int index);

    /**
     * Makes the parent of a layer writable in its place and large enough, with the layer still accepting it whatever
     * happens from now on. Requests see through the layer what they saw before as long as only what the layer covers is
     * written; through layer 0 of a disk that is open for writing they see whatever is written.
     *
     * @return the parent alone; owned by this disk
     * @throws DiskException IN_USE when another disk or process reads the parent
     */
    VirtualDisk beginMerge(int index, DiskOptions options);

    /**
     * Completes in the file of a layer what {@link #beginMerge} has changed there, durable already; in any thread, while the
     * layer is read.
     */
    default void settle(int index, DiskOptions options) {}

    /** Makes the parent of a layer durable and read-only again, and settles the layer. */
    void endMerge(int index, DiskOptions options);

    /**
     * Gives up what this disk's own image has of some blocks, while requests go on: what is below shows there from now on.
     * For a merge of layer 0 that {@link #beginMerge} began, after the parent has the same content durably.
     *
     * @param offset a multiple of {@link #blockSize()}
     * @param length whole blocks, or up to the end of the disk
     */
    void drop(long offset, long length);

    /**
     * Ends this disk, whose own image has nothing left, and gives its parent, which {@link #beginMerge} made writable, as a
     * disk of its own that owns the rest of the chain. No request may be under way. Does not throw: nothing of this image
     * is needed any more.
     */
    VirtualDisk becomeParent();

    /**
     * Connects the layer above to the one below, durably, and takes this one out of the chain. What it covers must be in
     * its parent. The file stays.
     *
     * @param index more than 0
     */
    void removeLayer(int index, DiskOptions options);
}
