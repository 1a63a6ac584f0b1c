import org.jspecify.annotations.NullMarked;

/** Virtual disks: raw, VHD, VHDX, and chains of them. */
@NullMarked
module org.torte.disk {
    requires transitive org.torte.base;
    requires static org.jspecify;

    exports org.torte.disk;
    exports org.torte.disk.operation;
}
