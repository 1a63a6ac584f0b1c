package org.torte.machine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.torte.hypervisor.CpuidTable;
import org.torte.hypervisor.Hypervisor;
import org.torte.hypervisor.HypervisorException;
import org.torte.hypervisor.Partition;
import org.torte.hypervisor.PartitionConfiguration;

/** A machine and back-ends that lack features of its processor. */
class MachineConfigurationTest {
    private static final long MEMORY = 64L << 20;

    private static Hypervisor without(String... features) {
        List<CpuFeature> missing = List.of(features).stream()
                .map(name -> CpuFeature.named(name).orElseThrow())
                .toList();
        return new Hypervisor() {
            @Override
            public String name() {
                return "poor";
            }

            @Override
            public long tscFrequency() {
                return 2_500_000_000L;
            }

            @Override
            public CpuidTable restrict(CpuidTable wanted) {
                return CpuFeature.without(wanted, missing);
            }

            @Override
            public Partition createPartition(PartitionConfiguration configuration) {
                throw new AssertionError("no machine may be made here");
            }
        };
    }

    @Test
    void goesWithoutWhatItCanDoWithoutAndSaysSoInItsText() {
        MachineConfiguration fitted = new MachineConfiguration(MEMORY, 2).fittedTo(without("AES", "SHA"));

        assertThat(fitted.withoutFeatures()).containsExactlyInAnyOrder("AES", "SHA");
        assertThat(fitted.tscFrequency()).isEqualTo(2_500_000_000L);
        assertThat(CpuFeature.named("AES").orElseThrow().in(fitted.cpuid())).isFalse();
        assertThat(CpuFeature.named("RDRAND").orElseThrow().in(fitted.cpuid())).isTrue();
        assertThat(MachineConfiguration.parse(fitted.toText())).isEqualTo(fitted);
    }

    @Test
    void whatItNeedsIsNamed() {
        MachineConfiguration machine = new MachineConfiguration(MEMORY, 1);
        assertThatThrownBy(() -> machine.fittedTo(without("SSE4.2", "AES", "POPCNT")))
                .isInstanceOf(HypervisorException.class)
                .hasMessage("this host's poor lacks features of the machine's processor, x86-64-v2: SSE4.2, POPCNT;"
                        + " --hypervisor software has them");
    }

    @Test
    void theBaselineNeedsLess() {
        MachineConfiguration machine = new MachineConfiguration(MEMORY, 1).withCpuModel(CpuModels.BASELINE);
        MachineConfiguration fitted = machine.fittedTo(without("SSE4.2", "AES", "POPCNT"));

        assertThat(fitted.withoutFeatures()).isEmpty();
        assertThat(CpuFeature.named("SSE4.2").orElseThrow().in(fitted.cpuid())).isFalse();
        assertThat(CpuFeature.named("SSE2").orElseThrow().in(fitted.cpuid())).isTrue();
        assertThat(MachineConfiguration.parse(fitted.toText())).isEqualTo(fitted);
        assertThat(CpuModels.without(CpuModels.BASELINE))
                .allMatch(name -> CpuFeature.named(name).isPresent());
        assertThatThrownBy(() -> machine.fittedTo(without("SSE2")))
                .isInstanceOf(HypervisorException.class)
                .hasMessageContaining("x86-64-v1: SSE2;");
    }

    @Test
    void aSavedMachineNeedsAllThatItWasStartedWith() {
        MachineConfiguration started = new MachineConfiguration(MEMORY, 1);
        assertThatThrownBy(() -> started.requireOn(without("AES")))
                .isInstanceOf(HypervisorException.class)
                .hasMessageContaining(": AES;");
        started.fittedTo(without("AES")).requireOn(without("AES"));
    }
}
