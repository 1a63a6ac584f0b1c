import org.jspecify.annotations.NullMarked;

/** The virtual switch and its services. */
@NullMarked
module org.torte.network {
    requires transitive org.torte.base;
    requires com.fasterxml.jackson.jr.ob;
    requires static org.jspecify;

    exports org.torte.network;
    exports org.torte.network.cable;
    exports org.torte.network.capture;
    exports org.torte.network.gateway;
    exports org.torte.network.host;
    exports org.torte.network.process;
}
