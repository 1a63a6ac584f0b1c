package org.torte.machine;

/**
 * Is told what happens in a machine while it goes on; how it ends is told by {@link Machine#end}. Called on threads of
 * the machine with its lock held: implementations are short, do not block and do not call the machine.
 */
public interface MachineListener {
    /** Does nothing. */
    MachineListener NONE = new MachineListener() {};

    /** The guest has reset the machine, which starts again from its boot loader. */
    default void guestReset() {}

    /** The guest's operating system has reported through the Hyper-V crash registers that it has failed. */
    default void guestCrash(GuestCrash crash) {}
}
