package org.torte.hypervisor.kvm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import org.junit.jupiter.api.Test;
import org.torte.hypervisor.CpuidTable;
import org.torte.hypervisor.HypervisorException;

/** What a host is told that has no KVM for us: the cause and what to do about it. */
class KvmDeviceTest {
    @Test
    void aHostWithoutItHearsWhatToTurnOn() {
        assertThatThrownBy(() -> KvmDevice.open("/nowhere/kvm"))
                .isInstanceOf(HypervisorException.class)
                .hasMessage(
                        "this host has no /dev/kvm: turn on virtualisation in its firmware (or for this virtual machine in"
                                + " its host) and load kvm_amd or kvm_intel; --hypervisor software needs no KVM");
    }

    @Test
    void whoMayNotOpenItHearsWhichGroupTo() {
        assertThat(KvmDevice.refusal(Linux.EACCES))
                .isEqualTo("you may not open /dev/kvm: an administrator adds you to its group with"
                        + " sudo usermod -aG kvm $USER, which takes effect at the next login");
        assertThat(KvmDevice.refusal(24)).isEqualTo("/dev/kvm cannot be opened (error 24)");
    }

    @Test
    void somethingElseInItsPlaceIsNotKvm() {
        assertThatThrownBy(() -> KvmDevice.open("/dev/null"))
                .isInstanceOf(HypervisorException.class)
                .hasMessageContaining("is not KVM");
    }

    @Test
    void aProcessorOfAnotherVendorIsRefusedByName() {
        KvmHypervisor hypervisor = new KvmHypervisor();
        try {
            long _ = hypervisor.tscFrequency();
        } catch (HypervisorException e) {
            assumeTrue(false, e.getMessage());
        }
        CpuidTable nobodys = new CpuidTable.Builder()
                .leaf(0, 1, 0x746e6543, 0x736c7561, 0x48727561)
                .build();
        assertThatThrownBy(() -> hypervisor.restrict(nobodys))
                .isInstanceOf(HypervisorException.class)
                .hasMessageStartingWith("the machine's processor is one of CentaurHauls, and this host's one of ")
                .hasMessageEndingWith(": KVM cannot run it here; --hypervisor software can");
    }
}
