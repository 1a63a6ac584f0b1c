package org.torte.hypervisor.software;

import org.jspecify.annotations.Nullable;

/** What an interpreter has done, whichever class it is of: {@link Interpreter} or its copy ({@link LastingInterpreter}). */
abstract class Interpretation {
    /** Instructions executed so far, in translated code too; exact whenever the processor does not run. */
    long instructions;

    /** Those of them that were interpreted, since this processor was made. */
    long interpreted;

    /** The fault that ended the last call of {@link #execute}, or null. */
    @Nullable
    GuestFault fault;

    /**
     * Executes from {@link Cpu#rip} until an event is due, an instruction asked for attention, or a fault came up, which
     * is then in {@link #fault} with rip at the faulting instruction. With {@code single}, one instruction.
     */
    abstract void execute(boolean single);

    /** Goes on where another one has left off. */
    final void takeOver(Interpretation other) {
        instructions = other.instructions;
        interpreted = other.interpreted;
        fault = other.fault;
    }
}
