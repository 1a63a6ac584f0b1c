package org.torte.management;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import org.torte.management.definition.Hardware;
import org.torte.management.definition.Hardware.Disk;
import org.torte.management.definition.VmDefinition;
import org.torte.management.process.VmFolder;

/**
 * What a virtual machine is that is made like another.
 *
 * @param definition with an id and Ethernet addresses of its own
 * @param children its differencing disks, and what they are based on
 */
record Clone(VmDefinition definition, Map<Disk, Disk> children) {
    UUID id() {
        return definition.id();
    }

    /**
     * Like some hardware of a machine.
     *
     * @param folder that of the machine, where its relative paths start
     * @param source the machine
     * @param like its hardware, or that of a checkpoint, whose disks nobody writes any more
     */
    static Clone of(VmFolder folder, VmDefinition source, Hardware like, String name) {
        Map<Disk, Disk> children = new LinkedHashMap<>();
        List<Disk> disks = new ArrayList<>();
        for (Disk disk : like.disks()) {
            Disk parent = new Disk(folder.resolve(disk.path()).toString(), disk.format(), true);
            if (disk.readOnly()) {
                disks.add(parent);
                continue;
            }
            String file = disks.isEmpty() ? "disk." : "disk-" + (disks.size() + 1) + ".";
            Disk child = new Disk(file + disk.format(), disk.format(), false);
            children.put(child, parent);
            disks.add(child);
        }
        VmDefinition definition = source.cloned(
                UUID.randomUUID(),
                name,
                like.cloned(disks, path -> folder.resolve(path).toString()));
        return new Clone(definition, children);
    }
}
