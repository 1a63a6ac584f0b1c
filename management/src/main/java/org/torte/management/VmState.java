package org.torte.management;

/** The states of a virtual machine, as Hyper-V names them. */
public enum VmState {
    /** It does not run, and starts from the beginning. */
    OFF("Off"),
    /** Its worker is being started. */
    STARTING("Starting"),
    /** It runs. */
    RUNNING("Running"),
    /** It is coming to a standstill. */
    PAUSING("Pausing"),
    /** It stands still, with its memory. */
    PAUSED("Paused"),
    /** It is about to go on. */
    RESUMING("Resuming"),
    /** Its memory and devices are being written. */
    SAVING("Saving"),
    /** It does not run, and goes on from where it was saved. */
    SAVED("Saved"),
    /** Its worker does not answer: nobody knows what it does. */
    NOT_RESPONDING("NotResponding"),
    /** The guest shuts down, or it is being turned off. */
    STOPPING("Stopping");

    private final String label;

    VmState(String label) {
        this.label = label;
    }

    /** Its name in the interface. */
    public String label() {
        return label;
    }
}
