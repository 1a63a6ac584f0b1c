package org.torte.worker;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;
import org.torte.hypervisor.CpuidTable;
import org.torte.hypervisor.Hypervisor;
import org.torte.hypervisor.HypervisorException;
import org.torte.hypervisor.Partition;
import org.torte.hypervisor.PartitionConfiguration;

/** What {@code auto} takes, by what a KVM can do. */
class BackendsTest {
    private record Kvm(UnaryOperator<CpuidTable> offers) implements Hypervisor {
        @Override
        public String name() {
            return "kvm";
        }

        @Override
        public long tscFrequency() {
            return 2_000_000_000L;
        }

        @Override
        public CpuidTable restrict(CpuidTable wanted) {
            return offers.apply(wanted);
        }

        @Override
        public Partition createPartition(PartitionConfiguration configuration) {
            throw new HypervisorException("this is only a choice");
        }
    }

    private static final Kvm WHOLE = new Kvm(wanted -> wanted);

    @Test
    void takesAKvmThatIsAsFastAsHardware() {
        Backends.Choice choice = Backends.suitable(WHOLE, 3_000_000_000L);
        assertThat(choice.hypervisor()).isSameAs(WHOLE);
        assertThat(choice.reason()).isEqualTo("KVM reaches 3000 million instructions a second in a loop");
    }

    @Test
    void doesNotTakeAKvmThatEmulates() {
        Backends.Choice choice = Backends.suitable(WHOLE, 4_000_000L);
        assertThat(choice.hypervisor().name()).isEqualTo("software");
        assertThat(choice.reason()).startsWith("KVM reaches only 4 million instructions");
    }

    @Test
    void doesNotTakeAKvmThatCannotBeTheMachinesProcessor() {
        Kvm poor = new Kvm(wanted -> new CpuidTable.Builder().build());
        Backends.Choice choice = Backends.suitable(poor, 3_000_000_000L);
        assertThat(choice.hypervisor().name()).isEqualTo("software");
        assertThat(choice.reason()).contains("lacks features of the machine's processor");
        Kvm other = new Kvm(wanted -> {
            throw new HypervisorException("another vendor");
        });
        assertThat(Backends.suitable(other, 3_000_000_000L).reason()).isEqualTo("another vendor");
    }
}
