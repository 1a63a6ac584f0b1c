package org.torte.hypervisor.x86;

/** One row of the instruction table. */
public final class Form {
    /** What undefined opcodes decode to. */
    public static final Form INVALID = new Form(Operation.INVALID);

    private final Operation operation;

    Form(Operation operation) {
        this.operation = operation;
    }

    /** What it does. */
    public Operation operation() {
        return operation;
    }
}
