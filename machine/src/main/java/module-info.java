import org.jspecify.annotations.NullMarked;

/** The chipset, ACPI, boot loaders and the Hyper-V interface. */
@NullMarked
module org.torte.machine {
    requires transitive org.torte.hypervisor;
    requires static org.jspecify;

    exports org.torte.machine;
}
