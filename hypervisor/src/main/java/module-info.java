import org.jspecify.annotations.NullMarked;

/** Partitions and virtual processors: the API and its back-ends. */
@NullMarked
module org.torte.hypervisor {
    requires transitive org.torte.base;
    requires static org.jspecify;

    exports org.torte.hypervisor;
    exports org.torte.hypervisor.x86;

    provides org.torte.hypervisor.Hypervisor with
            org.torte.hypervisor.software.SoftwareHypervisor,
            org.torte.hypervisor.kvm.KvmHypervisor;
}
