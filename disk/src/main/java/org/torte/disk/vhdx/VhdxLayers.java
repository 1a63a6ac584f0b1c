package org.torte.disk.vhdx;

import java.io.IOException;
import java.nio.file.Path;
import java.util.UUID;
import org.torte.disk.DiskAccess;
import org.torte.disk.DiskException;
import org.torte.disk.DiskException.Kind;
import org.torte.disk.DiskFile;
import org.torte.disk.DiskOptions;
import org.torte.disk.Identifiers;

/**
 * Changes images of a chain while the disk on top is in use. An image that is to be modified is opened a second time, the
 * lock passes from the old descriptor to the new one without a gap, and the two are exchanged while no request is under
 * way; afterwards the new one stays, for reading.
 */
final class VhdxLayers {
    private final VhdxDisk disk;
    private final DiskOptions options;

    VhdxLayers(VhdxDisk disk, DiskOptions options) {
        this.disk = disk;
        this.options = options;
    }

    private Path path(int index) {
        return Path.of(disk.image(index).file.name());
    }

    /**
     * Opens the parent of a layer for writing. The layer accepts the parent's next DataWriteGuid, durably, before the
     * parent gets it (section 2.6.2.6.3, parent_linkage2); it stays open for writing until it is settled.
     */
    VhdxImage beginMerge(int index) {
        VhdxImage parent = writable(index + 1);
        if (!parent.writer.started()) {
            UUID now = parent.headers.current().dataWrite();
            UUID next = Identifiers.random(options.random());
            begin(index, edit -> edit.expect(now, next));
            parent.writer.announceContentIdentifier(next);
            parent.writer.start();
        }
        long size = disk.image(index).size();
        if (size > parent.size()) {
            disk.withoutRequests(() -> VhdxResize.resize(parent, size));
        }
        if (index == 0 && disk.inUse()) {
            disk.parentGrows(true);
        }
        return parent;
    }

    /** Makes a layer read-only again. */
    void settle(int index) {
        if (index > 0 || !disk.inUse()) {
            readable(index);
        }
    }

    void endMerge(int index) {
        readable(index + 1);
        settle(index);
        if (index == 0) {
            disk.parentGrows(false);
        }
    }

    void remove(int index) {
        Path parent = path(index + 1);
        UUID identifier = disk.image(index + 1).headers.current().dataWrite();
        Path child = path(index - 1);
        begin(index - 1, edit -> edit.connect(child, parent, identifier));
        settle(index - 1);
        VhdxImage removed = disk.image(index);
        disk.withoutRequests(() -> disk.replace(index, null));
        removed.close();
    }

    /** Changes what a layer says of its parent, durably. */
    private void begin(int index, VhdxEdit.Change change) {
        if (index == 0 && disk.inUse()) {
            disk.withoutRequests(() -> VhdxEdit.apply(disk.image(0), change, false));
        } else {
            VhdxEdit.apply(writable(index), change, true);
        }
    }

    /** Exchanges an image that is open for reading for the same one open for writing. */
    private VhdxImage writable(int index) {
        VhdxImage old = disk.image(index);
        if (!old.readOnly()) {
            old.faults.check();
            return old;
        }
        Path path = path(index);
        DiskFile file = options.storage().open(path, DiskAccess.UPGRADABLE, options.folders());
        boolean done = false;
        try {
            // Both have the lock of readers now; nobody else can become a writer when the old one gives up its own.
            old.file.relock(DiskAccess.INSPECT);
            if (!file.relock(DiskAccess.READ_WRITE)) {
                throw new DiskException(
                        Kind.IN_USE, path.toString(), "other disks or programs read it", "close them first");
            }
            VhdxImage image = VhdxImage.read(file, options.withAccess(DiskAccess.READ_WRITE));
            disk.withoutRequests(() -> disk.replace(index, image));
            done = true;
            old.close();
            return image;
        } catch (IOException e) {
            throw old.faults.of(e);
        } finally {
            if (!done) {
                giveBack(old.file, file);
            }
        }
    }

    private static void giveBack(DiskFile old, DiskFile file) {
        try (file) {
            file.relock(DiskAccess.READ_ONLY);
            old.relock(DiskAccess.READ_ONLY);
        } catch (IOException e) {
            // Whatever kept the lock from being taken back is reported by the exception under way.
            return;
        }
    }

    private void readable(int index) {
        VhdxImage image = disk.image(index);
        if (image.readOnly()) {
            return;
        }
        try {
            image.settle();
            image.file.relock(DiskAccess.READ_ONLY);
        } catch (IOException e) {
            throw image.faults.of(e);
        }
    }
}
