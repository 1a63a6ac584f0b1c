import org.jspecify.annotations.NullMarked;

/** The torte command. */
@NullMarked
module org.torte.cli {
    requires com.fasterxml.jackson.core;
    requires com.fasterxml.jackson.databind;
    requires com.fasterxml.jackson.jr.ob;
    requires java.logging;
    requires java.net.http;
    requires org.torte.disk;
    requires org.torte.management;
    requires org.torte.worker;
    requires info.picocli;
    requires static org.jspecify;

    opens org.torte.cli to
            info.picocli;
    opens org.torte.cli.image to
            info.picocli;
    opens org.torte.cli.management to
            info.picocli;
    opens org.torte.cli.output to
            info.picocli;
    opens org.torte.cli.vhd to
            info.picocli;
}
