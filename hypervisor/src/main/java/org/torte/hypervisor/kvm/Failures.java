package org.torte.hypervisor.kvm;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.MemorySegment;
import java.util.HexFormat;

/** Why KVM does not go on with a processor, as part of a sentence. */
final class Failures {
    /** Errors of KVM_RUN. */
    private static final int EIO = 5, ENOMEM = 12, EFAULT = 14, EHWPOISON = 133;

    /** struct kvm_run at an internal error of emulation: what it carries, whether the instruction is part of it, and that. */
    private static final int SUBERROR = 32, WORDS = 36, FLAGS = 40, LENGTH = 48, INSTRUCTION = 49;

    private static final int EMULATION = 1, HAS_INSTRUCTION = 1, MAX_LENGTH = 15;

    private Failures() {}

    /** An error of KVM_RUN. */
    static String running(int error) {
        return switch (error) {
            case EIO -> "KVM has given the machine up (error 5), see the host's kernel log";
            case ENOMEM, EFAULT -> "the host has no memory for a page of the guest (error " + error + ")";
            case EHWPOISON -> "the host's memory under a page of the guest is broken (error 133)";
            default -> "error " + error;
        };
    }

    /**
     * An internal error of KVM.
     *
     * @param run what it shares with us
     * @param instructionPointer RIP
     */
    static String internal(MemorySegment run, long instructionPointer) {
        int error = run.get(JAVA_INT, SUBERROR);
        if (error != EMULATION) {
            return "KVM's internal error " + error;
        }
        String where = "KVM cannot emulate the instruction at 0x" + Long.toHexString(instructionPointer);
        if (run.get(JAVA_INT, WORDS) < 1 || (run.get(JAVA_LONG, FLAGS) & HAS_INSTRUCTION) == 0) {
            return where;
        }
        int length = Math.clamp(run.get(JAVA_BYTE, LENGTH), 0, MAX_LENGTH);
        byte[] bytes = run.asSlice(INSTRUCTION, length).toArray(JAVA_BYTE);
        return where + ", which begins with " + HexFormat.ofDelimiter(" ").formatHex(bytes);
    }
}
