package org.torte.management;

import java.nio.file.Path;
import java.util.Optional;
import java.util.Set;

/** Knows who else needs files of a virtual machine: clones are based on the disks of what they were cloned from. */
interface Dependents {
    /** The name of a virtual machine whose disks, other than those of {@code machine}, need one of the files. */
    Optional<String> of(Vm machine, Set<Path> files);
}
