package org.torte.disk.vhd;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.torte.disk.DiskAccess;
import org.torte.disk.DiskException;
import org.torte.disk.DiskException.Kind;
import org.torte.disk.DiskFile;
import org.torte.disk.DiskOptions;
import org.torte.disk.Faults;
import org.torte.disk.VirtualDisk;

/**
 * Changes images of a chain while the disk on top is in use. An image that is to be modified is opened a second time, the
 * lock passes from the old descriptor to the new one without a gap, and the two are exchanged while no request is under
 * way; afterwards the new one stays, for reading.
 */
final class VhdLayers {
    private final DynamicVhd top;
    private final DiskOptions options;

    VhdLayers(DynamicVhd top, DiskOptions options) {
        this.top = top;
        this.options = options;
    }

    /** The images from the top down. */
    static List<VirtualDisk> of(DynamicVhd top) {
        List<VirtualDisk> layers = new ArrayList<>();
        layers.add(top);
        while (layers.getLast().parent().isPresent()) {
            layers.add(layers.getLast().parent().get());
        }
        return layers;
    }

    private VirtualDisk at(int index) {
        return of(top).get(index);
    }

    static DiskFile file(VirtualDisk disk) {
        return switch (disk) {
            case DynamicVhd dynamic -> dynamic.image().file;
            case FixedVhd fixed -> fixed.file();
            default -> throw new IllegalStateException("no VHD: " + disk);
        };
    }

    private DynamicVhd dynamic(int index) {
        return (DynamicVhd) at(index);
    }

    VirtualDisk beginMerge(int index) {
        VirtualDisk parent = writable(index + 1);
        long size = at(index).size();
        if (size > parent.size()) {
            parent.resize(size);
        }
        if (index == 0 && !top.readOnly()) {
            top.parentGrows(true);
        }
        return parent;
    }

    void endMerge(int index) {
        readable(index + 1);
        if (index == 0) {
            top.parentGrows(false);
        }
    }

    void remove(int index) {
        DynamicVhd removed = dynamic(index);
        VirtualDisk parent = at(index + 1);
        connect(index - 1, parent);
        top.withoutRequests(() -> {
            dynamic(index - 1).replaceParent(parent);
            of(top).subList(0, index - 1).forEach(layer -> ((DynamicVhd) layer).parentsChanged());
        });
        removed.closeAlone();
    }

    private void connect(int index, VirtualDisk parent) {
        if (index == 0 && !top.readOnly()) {
            top.connect(parent);
        } else {
            ((DynamicVhd) writable(index)).connect(parent);
            readable(index);
        }
    }

    /** Exchanges an image that is open for reading for the same one open for writing. */
    private VirtualDisk writable(int index) {
        VirtualDisk old = at(index);
        if (!old.readOnly()) {
            return old;
        }
        DiskFile oldFile = file(old);
        Path path = Path.of(oldFile.name());
        DiskFile file = options.storage().open(path, DiskAccess.UPGRADABLE, options.folders());
        boolean done = false;
        try {
            // Both have the lock of readers now; nobody else can become a writer when the old one gives up its own.
            oldFile.relock(DiskAccess.INSPECT);
            if (!file.relock(DiskAccess.READ_WRITE)) {
                throw new DiskException(
                        Kind.IN_USE, path.toString(), "other disks or programs read it", "close them first");
            }
            VhdLayout layout = VhdLayout.read(file);
            VirtualDisk fresh = layout.footer().type() == VhdFooter.FIXED
                    ? new FixedVhd(layout)
                    : new DynamicVhd(layout, old.parent().orElse(null), options.metadataCache());
            top.withoutRequests(() -> {
                dynamic(index - 1).replaceParent(fresh);
                of(top).subList(0, index - 1).forEach(layer -> ((DynamicVhd) layer).parentsChanged());
            });
            done = true;
            oldFile.close();
            return fresh;
        } catch (IOException e) {
            throw new Faults(path.toString()).of(e);
        } finally {
            if (!done) {
                giveBack(oldFile, file);
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
        VirtualDisk disk = at(index);
        if (disk.readOnly()) {
            return;
        }
        DiskFile file = file(disk);
        try {
            if (disk instanceof DynamicVhd dynamic) {
                dynamic.image().settle();
            } else {
                disk.flush();
            }
            file.relock(DiskAccess.READ_ONLY);
        } catch (IOException e) {
            throw new Faults(file.name()).of(e);
        }
    }
}
