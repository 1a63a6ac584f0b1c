package org.torte.base;

import java.util.function.Consumer;

/** Collects the sections of a saved virtual machine, in the format of docs/state-format.md. For one thread. */
public interface StateWriter {
    /**
     * Writes one section.
     *
     * @param name what it is, unique in the container, such as {@code machine.serial.0}
     * @param version the version of its body, from 1
     * @param body writes the body
     */
    void section(String name, int version, Consumer<StateOutput> body);
}
