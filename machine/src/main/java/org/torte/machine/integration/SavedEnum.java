package org.torte.machine.integration;

import org.torte.base.StateInput;

/** Constants in saved state, by their names. */
final class SavedEnum {
    private SavedEnum() {}

    /** Reads the name of one of these constants. */
    static <E extends Enum<E>> E read(StateInput state, Class<E> type) {
        String name = state.getString();
        E found = type.getEnumConstants()[0];
        boolean known = false;
        for (E constant : type.getEnumConstants()) {
            if (constant.name().equals(name)) {
                found = constant;
                known = true;
            }
        }
        state.check(known, "there is no " + type.getSimpleName() + " " + name);
        return found;
    }
}
