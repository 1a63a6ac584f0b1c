package org.torte.hypervisor.contract;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import org.torte.hypervisor.Hypervisor;
import org.torte.hypervisor.HypervisorException;
import org.torte.hypervisor.kvm.KvmHypervisor;
import org.torte.hypervisor.software.SoftwareHypervisor;

/** The back-ends that must keep the contract. */
enum Backend {
    SOFTWARE,
    KVM;

    /** The back-end; the test is skipped, with the reason, where the host has none. */
    Hypervisor get() {
        Hypervisor hypervisor = switch (this) {
            case SOFTWARE -> new SoftwareHypervisor();
            case KVM -> new KvmHypervisor();
        };
        try {
            long _ = hypervisor.tscFrequency();
        } catch (HypervisorException e) {
            assumeTrue(false, e.getMessage());
        }
        return hypervisor;
    }
}
