import org.jspecify.annotations.NullMarked;

/** The lowest tier: guest memory, clock, timers, randomness, versioned state. */
@NullMarked
module org.torte.base {
    requires static org.jspecify;

    exports org.torte.base;
    exports org.torte.base.net;
}
