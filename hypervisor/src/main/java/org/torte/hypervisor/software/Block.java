package org.torte.hypervisor.software;

import java.lang.invoke.VarHandle;
import org.jspecify.annotations.Nullable;
import org.torte.hypervisor.LastSteps;
import org.torte.hypervisor.software.translator.Profile;
import org.torte.hypervisor.software.translator.Translation;
import org.torte.hypervisor.x86.Instruction;

/**
 * A straight run of guest instructions as micro-operations ({@link MicroOp}), independent of the linear address it runs
 * at. Shared by all processors; the links are only hints that any of them may set.
 */
final class Block {
    /** Stands for the place between blocks, so that a fault in fetching is found at its start. */
    static final Block NONE =
            new Block(-1, Cpu.MODE_64, new long[1], new short[1], new Instruction[0], 0, 0, 0, Mmu.INVALID);

    /** The bits of an address in a trace, which is enough for canonical ones. */
    static final long TRACE_ADDRESS = (1L << 48) - 1;

    private static final int TRACE_LENGTH = 48, TRACE_TRANSLATED = 61, TRACE_MODE = 62;

    /** Most instructions of one block. */
    static final int MAX_INSTRUCTIONS = 64;

    /** Where the first byte lies in its page; -1 for blocks that are not kept. */
    final int offset;

    /** The mode it was decoded for. */
    final int mode;

    final long[] code;

    /** For each micro-operation, how many bytes from the start of the block its instruction begins. */
    final short[] starts;

    /** The instructions that {@link MicroOp#COMPLEX} operations refer to. */
    final Instruction[] complex;

    /** How many instructions. */
    final int instructions;

    /** Length in bytes. */
    final int length;

    /** From the start of the block to the target of the direct jump or call at its end. */
    final long target;

    /** Whether {@link #target} lies in the same page, so that the link holds wherever the page is mapped. */
    final boolean targetInPage;

    /** Whether the next instruction in sequence lies in the same page. */
    final boolean nextInPage;

    /** What instruction pointers wrap at. */
    final long ripMask;

    /** Whether its only instruction goes on into another page, whose guest-physical address is {@link #secondPage}. */
    final boolean straddles;

    final long secondPage;

    /** Its length and mode as a trace of execution has them: 48 bits of address below, length and mode above. */
    final long trace;

    /** Whether it can be found by linear address alone as long as the TLB is not flushed. */
    final boolean linkable;

    /** The block at {@link #target}. */
    @Nullable
    Block taken;

    /** The block behind this one. */
    @Nullable
    Block next;

    /** Set when its bytes have changed; whoever comes upon it looks for a new one. */
    boolean dead;

    /** How often it was come upon by the interpreter, as far as somebody counts ({@link TranslatedCode}). */
    int heat;

    /** What is known about it to whoever translates it; races lose some of that. */
    Profile profile = Profile.UNKNOWN;

    /** Its translations into host code, each for one linear address. */
    @Nullable
    Translation translation;

    Block(
            int offset,
            int mode,
            long[] code,
            short[] starts,
            Instruction[] complex,
            int instructions,
            int length,
            long target,
            long secondPage) {
        this.offset = offset;
        this.mode = mode;
        this.code = code;
        this.starts = starts;
        this.complex = complex;
        this.instructions = instructions;
        this.length = length;
        this.target = target;
        this.secondPage = secondPage;
        this.straddles = secondPage != Mmu.INVALID;
        this.linkable = offset >= 0 && !straddles && (mode & (Cpu.MODE_SINGLE | Cpu.MODE_LIMITED)) == 0;
        // Outside 64-bit mode the limit of the code segment has to be looked at, which finding a block does.
        boolean free = linkable && (mode & Cpu.MODE_SIZE) == Cpu.MODE_64;
        this.targetInPage = free && offset + target >= 0 && offset + target <= 0xfff;
        this.nextInPage = free && offset + length <= 0xfff;
        this.ripMask = switch (mode & Cpu.MODE_SIZE) {
            case Cpu.MODE_64 -> -1;
            case Cpu.MODE_32 -> 0xffffffffL;
            default -> 0xffff;
        };
        this.trace = trace(0, length);
    }

    /** A run of this block's instructions at an address, cut after {@code bytes}, for {@link #run}. */
    final long trace(long address, int bytes) {
        return address & TRACE_ADDRESS | (long) bytes << TRACE_LENGTH | (long) (mode & Cpu.MODE_SIZE) << TRACE_MODE;
    }

    /** A run in translated 64-bit code, for {@link #run}. */
    static long translatedTrace(long address, int bytes) {
        return address & TRACE_ADDRESS
                | (long) bytes << TRACE_LENGTH
                | 1L << TRACE_TRANSLATED
                | (long) Cpu.MODE_64 << TRACE_MODE;
    }

    /** What {@link #trace} packed. */
    static LastSteps.Run run(long trace) {
        long address = trace << 64 - TRACE_LENGTH >> 64 - TRACE_LENGTH;
        int length = (int) (trace >>> TRACE_LENGTH) & (1 << TRACE_TRANSLATED - TRACE_LENGTH) - 1;
        boolean translated = (trace >>> TRACE_TRANSLATED & 1) != 0;
        return new LastSteps.Run(address, length, 16 << (int) (trace >>> TRACE_MODE), translated);
    }

    /**
     * Makes every processor that is inside leave at its next instruction boundary: the first micro-operation of each
     * instruction becomes an exit.
     */
    void invalidate() {
        dead = true;
        for (int i = 0; i < code.length; i++) {
            if (i == 0 || starts[i] != starts[i - 1]) {
                code[i] = MicroOp.EXIT;
            }
        }
        VarHandle.fullFence();
        dropTranslations();
    }

    /** Makes every processor that comes to one of its translations leave. */
    void dropTranslations() {
        for (Translation t = translation; t != null; t = t.next) {
            t.invalidate();
        }
    }

    /** How many instructions begin before micro-operation {@code index}, not counting the one it belongs to. */
    int instructionsBefore(int index) {
        int n = 0;
        for (int i = 1; i <= index; i++) {
            if (starts[i] != starts[i - 1]) {
                n++;
            }
        }
        return n;
    }
}
