package org.torte.management;

import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/**
 * What is left of a virtual machine that was removed.
 *
 * @param folder where its folder is now, if it is not gone
 * @param disks its disks that are there
 */
public record Removed(Optional<Path> folder, List<Path> disks) {
    /** Copies the list. */
    public Removed {
        disks = List.copyOf(disks);
    }
}
