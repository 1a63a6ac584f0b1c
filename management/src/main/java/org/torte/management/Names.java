package org.torte.management;

import java.util.Locale;

/** How the constants of enumerations are written in the interface: lower case, with dashes. */
public final class Names {
    private Names() {}

    /** The name of a constant. */
    public static String of(Enum<?> constant) {
        return constant.name().toLowerCase(Locale.ROOT).replace('_', '-');
    }
}
