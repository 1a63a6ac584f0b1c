import org.jspecify.annotations.NullMarked;

/** Real virtual machines for tests. */
@NullMarked
module org.torte.testing {
    requires transitive org.junit.jupiter.api;
    requires transitive org.torte.worker;
    requires static org.jspecify;

    exports org.torte.testing;
}
