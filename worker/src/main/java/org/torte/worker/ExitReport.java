package org.torte.worker;

/** How a virtual machine's run ended, or that it has not. */
public sealed interface ExitReport {
    /** The guest powered off. */
    record PoweredOff() implements ExitReport {}

    /**
     * The guest ended the machine through its exit port.
     *
     * @param status what it wrote there, shifted left by one, plus one; 0 to 255
     */
    record GuestExit(int status) implements ExitReport {}

    /**
     * The guest crashed: a triple fault.
     *
     * @param text registers of all processors and the instructions around the crash, disassembled, over several lines
     */
    record Crashed(String text) implements ExitReport {}

    /** It was turned off from outside. */
    record Stopped() implements ExitReport {}

    /** It still runs: the time given to {@link VirtualMachine#awaitExit} was over. */
    record TimedOut() implements ExitReport {}

    /**
     * Torte itself has failed, or the files that the guest wanted to restart from can no longer be loaded.
     *
     * @param cause what was thrown
     */
    record Failed(Throwable cause) implements ExitReport {}
}
