package org.torte.base;

/** Gives out the sections of a saved virtual machine. For one thread. */
public interface StateReader {
    /**
     * The section with this name.
     *
     * @param newest the newest version that the caller understands
     * @throws StateException when the section is missing or newer
     */
    StateInput section(String name, int newest);

    /** Whether there is a section with this name, for those that not every machine has. */
    boolean has(String name);
}
