package org.torte.hypervisor.software;

/** Words pushed as one onto a stack outside long mode, which may be another than the current one. */
final class StackFrame {
    /** The stack pointer; after {@link #push} the new one. */
    long pointer;

    private final boolean big;
    private final long base;
    private final long limit;
    private final boolean expandDown;
    private final int errorCode;

    /** The stack of an inner level; its selector is the error code of the #SS that an overflow gives. */
    StackFrame(long pointer, int selector, long descriptor) {
        errorCode = selector & 0xfffc;
        this.pointer = pointer;
        this.big = Segmentation.isBig(descriptor);
        this.base = Segmentation.base(descriptor);
        this.limit = Segmentation.limit(descriptor) & 0xffffffffL;
        this.expandDown = (Segmentation.type(descriptor) & 4) != 0;
    }

    private StackFrame(Cpu cpu) {
        errorCode = 0;
        pointer = cpu.r[Cpu.RSP];
        big = (cpu.attributes[Cpu.SS] & Cpu.ATTRIBUTE_DB) != 0;
        base = cpu.r[Cpu.BASE + Cpu.SS];
        limit = cpu.limit[Cpu.SS] & 0xffffffffL;
        expandDown = (cpu.attributes[Cpu.SS] & 0xc) == 4;
    }

    /** The current stack. */
    static StackFrame current(Cpu cpu) {
        return new StackFrame(cpu);
    }

    /** Pushes the first {@code count} words, each {@code width} bytes; nothing is written if any of them would fault. */
    void push(Cpu cpu, long[] words, int count, int width, Mmu.Privilege as) {
        long mask = big ? 0xffffffffL : 0xffff;
        long[] at = new long[count];
        long sp = pointer;
        for (int i = 0; i < count; i++) {
            sp = sp - width & mask;
            long last = sp + width - 1;
            boolean inside = expandDown ? sp > limit && last <= mask : last <= limit;
            if (!inside) {
                throw cpu.fault(GuestFault.SS, errorCode);
            }
            at[i] = base + sp & 0xffffffffL;
            cpu.mmu.checkStoreAs(at[i], width, as);
        }
        for (int i = 0; i < count; i++) {
            cpu.mmu.storeAs(at[i], width, words[i], as);
        }
        pointer = pointer & ~mask | sp;
    }

    /** Makes the pointer the current stack pointer. */
    void store(Cpu cpu) {
        cpu.r[Cpu.RSP] = big ? pointer & 0xffffffffL : cpu.r[Cpu.RSP] & ~0xffffL | pointer & 0xffff;
    }
}
