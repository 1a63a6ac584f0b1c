package org.torte.machine.chipset;

import java.util.function.BiConsumer;
import org.torte.base.StateInput;
import org.torte.base.StateOutput;

/** What every device can do. All methods but {@link #inspect} are called while no processor runs. */
public interface Device {
    /** What it is called in saved state and to users, unique in the machine: {@code serial.0}. */
    String name();

    /** The machine begins to run: what goes on outside the guest may go on again. */
    default void start() {}

    /** The machine stands: on return nothing changes the guest's memory or this device any more. */
    default void stop() {}

    /** Puts it into the state after power-on. */
    void reset();

    /** The version of what {@link #save} writes, from 1. */
    int stateVersion();

    /** Writes its state. */
    void save(StateOutput state);

    /**
     * Reads what {@link #save} of this or an older version wrote. Timers are armed, but interrupt wires are left alone:
     * the controllers at their ends have saved their levels.
     *
     * @throws org.torte.base.StateException when it is not a state that this device can have
     */
    void restore(StateInput state);

    /** Tells its state to people, as names and values. At any time. */
    void inspect(BiConsumer<String, Object> sink);
}
