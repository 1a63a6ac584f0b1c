package org.torte.hypervisor.software;

import org.torte.hypervisor.Hypervisor;
import org.torte.hypervisor.Partition;
import org.torte.hypervisor.PartitionConfiguration;

/** The back-end that needs nothing of the host but a JVM. */
public final class SoftwareHypervisor implements Hypervisor {
    @Override
    public String name() {
        return "software";
    }

    @Override
    public Partition createPartition(PartitionConfiguration configuration) {
        return new SoftwarePartition(configuration);
    }
}
