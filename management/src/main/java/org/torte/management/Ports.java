package org.torte.management;

import java.util.UUID;
import org.torte.management.definition.VmDefinition;

/** Looks after the ports of switches that machines which run are connected to. */
interface Ports {
    /**
     * A machine is about to run: its ports are there on return.
     *
     * @throws Problem why they cannot be; the machine must not run then
     */
    void begin(VmDefinition machine);

    /** A machine runs already, with the ports it has. */
    void found(VmDefinition machine);

    /** A machine has ended, or has not come to run. Does not wait. */
    void end(UUID machine);
}
