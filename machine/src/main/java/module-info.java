import org.jspecify.annotations.NullMarked;

/** The chipset, ACPI, boot loaders and the Hyper-V interface. */
@NullMarked
module org.torte.machine {
    requires transitive org.torte.disk;
    requires transitive org.torte.hypervisor;
    requires transitive org.torte.network;
    requires com.github.luben.zstd_jni;
    requires org.tukaani.xz;
    requires static org.jspecify;

    exports org.torte.machine;
    exports org.torte.machine.boot;
    exports org.torte.machine.filesystem;
    exports org.torte.machine.chipset;
    exports org.torte.machine.integration;
    exports org.torte.machine.network;
    exports org.torte.machine.storage;
    exports org.torte.machine.vmbus;
}
