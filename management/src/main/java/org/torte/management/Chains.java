package org.torte.management;

import java.nio.file.Path;
import java.util.LinkedHashSet;
import java.util.Locale;
import java.util.Set;
import org.torte.disk.DiskAccess;
import org.torte.disk.DiskException;
import org.torte.disk.DiskFormat;
import org.torte.disk.DiskInfo;
import org.torte.disk.DiskOptions;
import org.torte.disk.operation.Family;
import org.torte.management.definition.Checkpoint;
import org.torte.management.definition.Hardware.Disk;
import org.torte.management.definition.VmDefinition;
import org.torte.management.process.VmFolder;

/** The files that disks are made of. They are looked at without a lock, so also while they are in use. */
final class Chains {
    private Chains() {}

    /** The format of a disk of a definition. */
    static DiskFormat format(Disk disk) {
        return DiskFormat.valueOf(disk.format().toUpperCase(Locale.ROOT));
    }

    /**
     * The files of a disk, itself first.
     *
     * @throws DiskException when one of them cannot be read
     */
    static Set<Path> files(VmFolder folder, Disk disk) {
        Set<Path> files = new LinkedHashSet<>();
        Path own = folder.resolve(disk.path());
        files.add(own);
        if (format(disk) != DiskFormat.RAW) {
            DiskOptions looking =
                    DiskOptions.readWrite().withAccess(DiskAccess.INSPECT).withOpenParents(false);
            for (DiskInfo info : Family.chain(own, format(disk), looking)) {
                files.add(Path.of(info.image()).toAbsolutePath().normalize());
            }
        }
        return files;
    }

    /** All files of all disks of a virtual machine and its checkpoints, as far as they can be found. */
    static Set<Path> known(VmFolder folder, VmDefinition definition) {
        Set<Path> files = new LinkedHashSet<>();
        definition.disks().forEach(disk -> add(folder, disk, files));
        for (Checkpoint checkpoint : definition.checkpoints().items()) {
            checkpoint.disks().forEach(disk -> add(folder, disk, files));
        }
        return files;
    }

    private static void add(VmFolder folder, Disk disk, Set<Path> files) {
        try {
            files.addAll(files(folder, disk));
        } catch (DiskException e) {
            // What cannot be read has no parents that could be protected.
            files.add(folder.resolve(disk.path()));
        }
    }
}
