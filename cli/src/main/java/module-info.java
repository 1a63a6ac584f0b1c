import org.jspecify.annotations.NullMarked;

/** The torte command. */
@NullMarked
module org.torte.cli {
    requires org.torte.worker;
    requires org.torte.disk;
    requires com.fasterxml.jackson.core;
    requires com.fasterxml.jackson.jr.ob;
    requires info.picocli;
    requires static org.jspecify;

    opens org.torte.cli to
            info.picocli;
    opens org.torte.cli.image to
            info.picocli;
    opens org.torte.cli.output to
            info.picocli;
    opens org.torte.cli.vhd to
            info.picocli;
}
