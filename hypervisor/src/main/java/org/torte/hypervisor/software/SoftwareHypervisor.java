package org.torte.hypervisor.software;

import org.torte.hypervisor.CpuidTable;
import org.torte.hypervisor.Hypervisor;
import org.torte.hypervisor.Partition;
import org.torte.hypervisor.PartitionConfiguration;

/** The back-end that needs nothing of the host but a JVM. */
public final class SoftwareHypervisor implements Hypervisor {
    /** One tick a nanosecond. */
    private static final long TSC_FREQUENCY = 1_000_000_000L;

    @Override
    public String name() {
        return "software";
    }

    @Override
    public long tscFrequency() {
        return TSC_FREQUENCY;
    }

    @Override
    public CpuidTable restrict(CpuidTable wanted) {
        return wanted;
    }

    @Override
    public Partition createPartition(PartitionConfiguration configuration) {
        return new SoftwarePartition(configuration);
    }
}
