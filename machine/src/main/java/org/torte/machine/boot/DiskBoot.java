package org.torte.machine.boot;

import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import org.torte.disk.DiskException;
import org.torte.disk.VirtualDisk;
import org.torte.machine.filesystem.DamagedException;
import org.torte.machine.filesystem.Ext4;
import org.torte.machine.filesystem.Ext4File;
import org.torte.machine.filesystem.PartitionTable;
import org.torte.machine.filesystem.PartitionTable.Partition;

/**
 * Finds a kernel on the disks of a machine, as a boot loader does: the first partition that has something to boot counts,
 * and there what {@link BootEntries} finds. For one thread at a time.
 */
final class DiskBoot {
    /** Partitions that are looked at, on all disks together. */
    private static final int MAX_PARTITIONS = 256;

    private static final String CONSOLE = "console=ttyS0";

    /**
     * A disk.
     *
     * @param disk its content
     * @param name what users know it as
     */
    record Source(VirtualDisk disk, String name) {}

    /** A file system, the partition that it is on, and how users know both. */
    private record Found(Ext4 fileSystem, Partition partition, String name) {}

    private DiskBoot() {}

    /**
     * What to boot.
     *
     * @param append what the user adds to the command line
     * @throws BootException when nothing is found; it says what was looked at
     */
    static BootPlan find(List<Source> disks, String append) {
        List<String> seen = new ArrayList<>();
        List<Found> fileSystems = new ArrayList<>();
        for (Source disk : disks) {
            open(disk, fileSystems, seen);
        }
        for (Found found : fileSystems) {
            try {
                Optional<BootEntry> entry = BootEntries.best(found.fileSystem());
                if (entry.isPresent()) {
                    return plan(entry.get(), found, fileSystems, append);
                }
                seen.add(found.name() + " has none");
            } catch (DamagedException e) {
                seen.add(found.name() + " is " + e.getMessage());
            }
        }
        throw new BootException("there is nothing to boot on the disks (looked for " + BootEntries.PLACES
                + " in ext2, ext3 and ext4 file systems: "
                + (seen.isEmpty() ? "there are no disks" : String.join("; ", seen))
                + "); give a kernel with --kernel FILE");
    }

    private static void open(Source source, List<Found> found, List<String> seen) {
        try {
            for (Partition partition : PartitionTable.read(source.disk())) {
                String name = partition.number() == 0
                        ? source.name()
                        : "partition " + partition.number() + " of " + source.name();
                if (found.size() + seen.size() >= MAX_PARTITIONS) {
                    return;
                }
                if (!Ext4.matches(partition.volume())) {
                    seen.add(name + " is of another kind");
                    continue;
                }
                try {
                    found.add(new Found(Ext4.open(partition.volume()), partition, name));
                } catch (DamagedException e) {
                    seen.add(name + " is " + e.getMessage());
                }
            }
        } catch (DiskException e) {
            throw new BootException("the disk " + source.name() + " cannot be read (" + e.getMessage() + ")");
        }
    }

    private static BootPlan plan(BootEntry entry, Found found, List<Found> all, String append) throws DamagedException {
        List<BootPlan.Module> modules = new ArrayList<>();
        for (Ext4File initrd : entry.initrds()) {
            modules.add(new BootPlan.Module(new BootFile.OnDisk(initrd, found.name()), ""));
        }
        Set<String> words = new LinkedHashSet<>();
        for (String word : entry.options().split("\\s+", -1)) {
            // Some boot loaders keep variables of their own in entries.
            if (!word.isEmpty() && !word.startsWith("$")) {
                words.add(word);
            }
        }
        if (words.stream().noneMatch(word -> word.startsWith("root="))) {
            words.add(root(found, all, !modules.isEmpty()));
            if (!words.contains("rw")) {
                words.add("ro");
            }
        }
        // The machine has no other console to show.
        if (words.stream().noneMatch(word -> word.startsWith("console=ttyS"))) {
            words.add(CONSOLE);
        }
        String commandLine = String.join(" ", words) + (append.isEmpty() ? "" : " " + append);
        return new BootPlan(new BootFile.OnDisk(entry.kernel(), found.name()), modules, commandLine);
    }

    /** Names the root file system: the kernel's own if it looks like one, else the first that does. */
    private static String root(Found kernel, List<Found> all, boolean hasInitrd) throws DamagedException {
        Found root = kernel;
        if (!isRoot(kernel)) {
            for (Found other : all) {
                if (isRoot(other)) {
                    root = other;
                    break;
                }
            }
        }
        // Without a RAM disk the kernel itself has to find it, and knows only partitions by their own identifiers.
        String partition = root.partition().identifier();
        return hasInitrd || partition.isEmpty()
                ? "root=UUID=" + root.fileSystem().uuid()
                : "root=PARTUUID=" + partition.toLowerCase(Locale.ROOT);
    }

    private static boolean isRoot(Found found) throws DamagedException {
        List<String> names = found.fileSystem().list("/");
        return names.contains("etc") && (names.contains("sbin") || names.contains("usr"));
    }
}
