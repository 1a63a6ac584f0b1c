import org.jspecify.annotations.NullMarked;

/** One running virtual machine, assembled. */
@NullMarked
module org.torte.worker {
    requires transitive org.torte.machine;
    requires org.tukaani.xz;
    requires static org.jspecify;

    uses org.torte.hypervisor.Hypervisor;

    exports org.torte.worker;
    exports org.torte.worker.guest;
}
