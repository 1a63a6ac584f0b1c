package org.torte.machine.chipset;

/** An interrupt wire of a device. Setting a level that it has already does nothing. */
@FunctionalInterface
public interface InterruptWire {
    /** Sets the level. */
    void set(boolean high);
}
