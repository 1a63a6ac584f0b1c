import org.jspecify.annotations.NullMarked;

/** One running virtual machine, assembled. */
@NullMarked
module org.torte.worker {
    requires transitive org.torte.machine;
    requires transitive org.torte.network;
    requires com.fasterxml.jackson.jr.ob;
    requires jdk.net;
    requires org.tukaani.xz;
    requires static org.jspecify;

    uses org.torte.hypervisor.Hypervisor;

    exports org.torte.worker;
    exports org.torte.worker.control;
    exports org.torte.worker.guest;
}
