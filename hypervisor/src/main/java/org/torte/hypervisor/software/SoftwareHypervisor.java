package org.torte.hypervisor.software;

import java.util.Optional;
import org.torte.hypervisor.CpuidTable;
import org.torte.hypervisor.Hypervisor;
import org.torte.hypervisor.Partition;
import org.torte.hypervisor.PartitionConfiguration;
import org.torte.hypervisor.software.translator.Translator;

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
    public Optional<String> translatorObstacle() {
        try (Translator translator = Translator.create(1 << 20)) {
            return translator == null ? Optional.of(Translator.obstacle()) : Optional.empty();
        }
    }

    @Override
    public Partition createPartition(PartitionConfiguration configuration) {
        return new SoftwarePartition(configuration);
    }
}
