package org.torte.management.process;

import java.util.Optional;
import org.torte.management.definition.VmDefinition;
import org.torte.management.memory.HostMemory;

/** Starts and finds worker processes. Safe for several threads. */
public interface Workers {
    /**
     * Starts one for the virtual machine of a folder, which goes on from its saved state if it has one.
     *
     * @throws org.torte.management.Problem when there can be no process
     */
    Worker start(VmFolder folder, VmDefinition definition);

    /** The one that runs already for a folder, from an earlier service. */
    Optional<Worker> find(VmFolder folder, VmDefinition definition);

    /** Why the last one ended, if it ran when this host was last up and no service has seen its end. */
    Optional<WorkerEnd> lost(VmFolder folder);

    /** While no worker runs: removes what those have left that were killed. */
    void sweep();

    /** The memory of the host that they run on. */
    HostMemory memory();
}
