package org.torte.machine.hyperv;

import org.torte.base.GuestMemory;
import org.torte.hypervisor.CpuState;
import org.torte.hypervisor.VirtualProcessor;

/**
 * The control word and the input parameters of one hypercall (TLFS, "Hypercall Inputs"): parameters are in guest memory,
 * or for fast calls in registers. What is in memory is read once, when it is asked for.
 *
 * <pre>
 *  0-15 call code   16 fast   17-26 variable header in 8 bytes   32-43 repetitions   48-59 first repetition
 * </pre>
 */
final class HypercallInput {
    private static final long FAST = 1 << 16;

    /** Bits 27 to 30, 44 to 47 and 60 to 63; 31 would ask a hypervisor below this one. */
    private static final long RESERVED = 0xf000_f000_f800_0000L;

    private static final int VECTORS = 6;

    /** RDX, R8 and XMM0 to XMM5. */
    static final int MAX_FAST_BYTES = 16 + 16 * VECTORS;

    private final long control;
    private final long inputAddress;
    private final long outputAddress;
    private final VirtualProcessor processor;
    private final GuestMemory memory;

    /**
     * Reads the registers.
     *
     * @param wide whether the caller is in 64-bit mode; others pass each value in two registers
     */
    HypercallInput(VirtualProcessor processor, boolean wide, GuestMemory memory) {
        this.processor = processor;
        this.memory = memory;
        if (wide) {
            control = processor.register(CpuState.RCX);
            inputAddress = processor.register(CpuState.RDX);
            outputAddress = processor.register(8);
        } else {
            control = pair(CpuState.RDX, CpuState.RAX);
            inputAddress = pair(CpuState.RBX, CpuState.RCX);
            outputAddress = pair(CpuState.RDI, CpuState.RSI);
        }
    }

    private long pair(int high, int low) {
        return processor.register(high) << 32 | processor.register(low) & 0xffff_ffffL;
    }

    int code() {
        return (int) control & 0xffff;
    }

    boolean fast() {
        return (control & FAST) != 0;
    }

    /** Bytes of the variable header. */
    int variableHeader() {
        return ((int) (control >>> 17) & 0x3ff) * Long.BYTES;
    }

    int repetitions() {
        return (int) (control >>> 32) & 0xfff;
    }

    int firstRepetition() {
        return (int) (control >>> 48) & 0xfff;
    }

    /** Whether the control word is one, for a call with or without repetitions. */
    boolean wellFormed(boolean repeated) {
        return (control & RESERVED) == 0
                && (repeated ? firstRepetition() < repetitions() : repetitions() == 0 && firstRepetition() == 0);
    }

    /** Whether {@code length} bytes of parameters are where parameters may be. */
    HypercallStatus checkInput(int length) {
        if (fast()) {
            return length <= MAX_FAST_BYTES ? HypercallStatus.SUCCESS : HypercallStatus.INVALID_HYPERCALL_INPUT;
        }
        return check(inputAddress, length);
    }

    /** Whether {@code length} bytes of results have a place. */
    HypercallStatus checkOutput(int length) {
        return fast() ? HypercallStatus.INVALID_HYPERCALL_INPUT : check(outputAddress, length);
    }

    private HypercallStatus check(long address, int length) {
        if ((address & 7) != 0 || (address & GuestMemory.PAGE_SIZE - 1) + length > GuestMemory.PAGE_SIZE) {
            return HypercallStatus.INVALID_ALIGNMENT;
        }
        return memory.contains(address, length) ? HypercallStatus.SUCCESS : HypercallStatus.INVALID_HYPERCALL_INPUT;
    }

    /** 8 bytes of the parameters at a multiple of 8, after {@link #checkInput}. */
    long word(int at) {
        if (!fast()) {
            return memory.getLong(inputAddress + at);
        }
        return switch (at) {
            case 0 -> inputAddress;
            case 8 -> outputAddress;
            default -> processor.vectorRegister((at - 16) / 16, at / 8 & 1);
        };
    }

    /** Copies parameters out, after {@link #checkInput}. Not for fast calls. */
    void copy(int at, byte[] target) {
        memory.read(inputAddress + at, target, 0, target.length);
    }

    /** Where results go, after {@link #checkOutput}. */
    long outputAddress() {
        return outputAddress;
    }
}
