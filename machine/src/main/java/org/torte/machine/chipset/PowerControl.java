package org.torte.machine.chipset;

/** What devices may do to the whole machine. Takes effect soon after the current instruction of the guest. */
public interface PowerControl {
    /** Resets it. */
    void reset();

    /** Turns it off. */
    void powerOff();

    /** Ends it with an exit status. */
    void exit(int status);
}
