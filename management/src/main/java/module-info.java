import org.jspecify.annotations.NullMarked;

/** One service per host: definitions of virtual machines, their lives, tasks, events, and REST. */
@NullMarked
module org.torte.management {
    requires com.fasterxml.jackson.databind;
    requires io.javalin;
    requires jakarta.servlet;
    requires java.sql;
    requires org.torte.disk;
    requires transitive org.torte.worker;
    requires static org.jspecify;

    exports org.torte.management;
    exports org.torte.management.definition;
    exports org.torte.management.memory;
    exports org.torte.management.process;
    exports org.torte.management.rest;

    // Jackson makes records of what it reads.
    opens org.torte.management to
            com.fasterxml.jackson.databind;
    opens org.torte.management.definition to
            com.fasterxml.jackson.databind;
    opens org.torte.management.memory to
            com.fasterxml.jackson.databind;
    opens org.torte.management.process to
            com.fasterxml.jackson.databind;
    opens org.torte.management.rest to
            com.fasterxml.jackson.databind;
}
