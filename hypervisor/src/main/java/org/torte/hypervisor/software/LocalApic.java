package org.torte.hypervisor.software;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.util.function.IntSupplier;
import org.jspecify.annotations.Nullable;
import org.torte.base.StateInput;
import org.torte.base.StateOutput;
import org.torte.base.Timers;
import org.torte.hypervisor.shared.InterruptMessage;

/**
 * The local APIC of one processor in xAPIC and x2APIC mode (Intel SDM vol. 3, chapter 12). Interrupts may be sent to it
 * by any thread; its registers belong to the processor's own thread. What is pending is told to the processor by
 * {@link Events}.
 *
 * <p>The interrupt request and trigger mode registers are the only ones that other threads write, atomically; the rest is
 * plain or volatile. Register numbers are those of x2APIC MSRs: the offset in the xAPIC page divided by 16.
 */
final class LocalApic {
    /** Where the page of registers is after reset. */
    static final long DEFAULT_BASE = 0xfee0_0000L;

    /** IA32_APIC_BASE: bootstrap processor, x2APIC mode, enabled. */
    static final long BASE_BSP = 0x100, BASE_X2APIC = 0x400, BASE_ENABLED = 0x800;

    static final int ID = 0x02, VERSION = 0x03, TPR = 0x08, APR = 0x09, PPR = 0x0a, EOI = 0x0b, LDR = 0x0d, DFR = 0x0e;
    static final int SVR = 0x0f, ISR = 0x10, TMR = 0x18, IRR = 0x20, ESR = 0x28, ICR = 0x30, ICR_HIGH = 0x31;
    static final int LVT_TIMER = 0x32, LVT_THERMAL = 0x33, LVT_PERFORMANCE = 0x34, LVT_LINT0 = 0x35, LVT_LINT1 = 0x36;
    static final int LVT_ERROR = 0x37, INITIAL_COUNT = 0x38, CURRENT_COUNT = 0x39, DIVIDE = 0x3e, SELF_IPI = 0x3f;

    /** An integrated APIC with six LVT entries, without suppression of EOI broadcasts. */
    private static final int VERSION_VALUE = 0x0005_0014;

    private static final int LVT_COUNT = 6;
    private static final int LVT_MASKED = 0x1_0000;

    /** What software may write in each LVT entry, from the timer's on. */
    private static final int[] LVT_WRITABLE = {0x7_00ff, 0x1_07ff, 0x1_07ff, 0x1_a7ff, 0x1_a7ff, 0x1_00ff};

    private static final int SVR_ENABLED = 0x100;
    private static final int SVR_WRITABLE = 0x3ff;

    private static final int ERROR_SEND_ILLEGAL_VECTOR = 0x20, ERROR_RECEIVE_ILLEGAL_VECTOR = 0x40;
    private static final int ERROR_ILLEGAL_REGISTER = 0x80;

    /** Bits 13, 16, 17 and 20 to 31 of the x2APIC interrupt command register. */
    private static final long X2APIC_ICR_RESERVED = 0xfff3_2000L;

    private static final VarHandle WORD = MethodHandles.arrayElementVarHandle(long[].class);
    private static final VarHandle ERRORS;

    static {
        try {
            ERRORS = MethodHandles.lookup().findVarHandle(LocalApic.class, "errors", int.class);
        } catch (ReflectiveOperationException e) {
            throw new ExceptionInInitializerError(e);
        }
    }

    private final int id;
    private final InterruptRouter router;
    private final Events events;
    private final ApicTimer timer;

    /** Bit v % 64 of element v / 64 belongs to vector v. */
    private final long[] requested = new long[4];

    private final long[] inService = new long[4];
    private final long[] levelTriggered = new long[4];
    private final long[] automaticEnd = new long[4];

    private volatile long base;
    private volatile int spurious;
    private volatile int logicalId;
    private volatile int destinationFormat;
    private final int[] lvt = new int[LVT_COUNT];
    private long interruptCommand;

    /** Task and processor priority: written by the owner; others look at the latter to choose whom to burden. */
    private int taskPriority;

    private int priority;

    /** Errors since the error status register was last written, and what it shows. */
    private int errors;

    private int errorStatus;

    private volatile int startupVector;

    /** How to acknowledge the 8259 while it holds its wire high. */
    private volatile @Nullable IntSupplier external;

    /** An interrupt message in ExtINT mode was accepted. */
    private volatile boolean externalMessage;

    /**
     * The local APIC of processor {@code id}, in power-up state.
     *
     * @param id its initial id; the processor with id 0 is the bootstrap processor
     */
    LocalApic(int id, InterruptRouter router, Events events, Timers timers, TimeStampCounter tsc) {
        this.id = id;
        this.router = router;
        this.events = events;
        timer = new ApicTimer(timers, tsc, () -> deliverLocal(LVT_TIMER));
        reset();
    }

    /** Power-up. */
    void reset() {
        base = DEFAULT_BASE | BASE_ENABLED | (id == 0 ? BASE_BSP : 0);
        for (int i = 0; i < 4; i++) {
            WORD.setVolatile(automaticEnd, i, 0L);
        }
        init();
    }

    /** INIT: as power-up, but mode and base address stay. */
    void init() {
        timer.reset();
        for (int i = 0; i < 4; i++) {
            WORD.setVolatile(requested, i, 0L);
            WORD.setVolatile(levelTriggered, i, 0L);
            inService[i] = 0;
        }
        java.util.Arrays.fill(lvt, LVT_MASKED);
        spurious = 0xff;
        destinationFormat = -1;
        logicalId = x2apic() ? x2apicLogicalId() : 0;
        interruptCommand = 0;
        taskPriority = 0;
        priority = 0;
        errors = 0;
        errorStatus = 0;
        externalMessage = false;
        events.clear(Events.INTERRUPT);
        VarHandle.fullFence();
        if (externalReady()) {
            events.raise(Events.INTERRUPT);
        }
    }

    // ---- questions

    boolean enabled() {
        return (base & BASE_ENABLED) != 0;
    }

    boolean x2apic() {
        return (base & BASE_X2APIC) != 0;
    }

    /** Enabled by hardware and by the spurious vector register: accepts interrupts with a vector. */
    boolean softwareEnabled() {
        return enabled() && (spurious & SVR_ENABLED) != 0;
    }

    /** Guest-physical address of the page of registers, or -1 when there is none now. */
    long pageAddress() {
        long now = base;
        return (now & (BASE_ENABLED | BASE_X2APIC)) == BASE_ENABLED ? now & ~0xfffL : -1;
    }

    /** The priority below which interrupts have to wait; for other threads a recent value. */
    int processorPriority() {
        return priority;
    }

    /** The page number of the last SIPI: execution starts at this times 4096. */
    int startupVector() {
        return startupVector;
    }

    /** The timer, for writes to the time-stamp counter. */
    ApicTimer timer() {
        return timer;
    }

    // ---- interrupts come in, from any thread

    /** Whether a message addresses this processor. */
    boolean matches(InterruptMessage message) {
        if (!enabled()) {
            // The pins work without the APIC, its bus does not: only INIT, SIPI and NMI of the platform get through.
            return false;
        }
        int destination = message.destination();
        if (!message.logical()) {
            return destination == message.broadcast() || destination == id;
        }
        if (x2apic()) {
            if (!message.wide() && destination == 0xff) {
                return true;
            }
            int own = x2apicLogicalId();
            return destination == -1 || destination >>> 16 == own >>> 16 && (destination & own & 0xffff) != 0;
        }
        int own = logicalId >>> 24;
        if (destination == message.broadcast()) {
            return true;
        }
        if ((destinationFormat & 0xf000_0000) == 0xf000_0000) {
            return (destination & own) != 0;
        }
        return (destination >> 4 == own >> 4 || destination >> 4 == 0xf) && (destination & own & 0xf) != 0;
    }

    /**
     * Takes a message that addresses this processor.
     *
     * @return whether it was taken; a vector that is already pending counts as taken
     */
    boolean accept(InterruptMessage message) {
        if (!enabled()) {
            return false;
        }
        switch (message.mode()) {
            case InterruptMessage.FIXED, InterruptMessage.LOWEST_PRIORITY -> {
                return request(message.vector(), message.level());
            }
            case InterruptMessage.NMI -> events.raise(Events.NMI);
            case InterruptMessage.INIT -> {
                events.clear(Events.STARTUP);
                events.raise(Events.INIT);
            }
            case InterruptMessage.STARTUP -> {
                startupVector = message.vector();
                events.raise(Events.STARTUP);
            }
            case InterruptMessage.EXTINT -> {
                externalMessage = true;
                events.raise(Events.INTERRUPT);
            }
            default -> {
                // SMI: there is no system management mode. Remote read: no longer exists.
                return false;
            }
        }
        return true;
    }

    /** Makes a vector pending. */
    boolean request(int vector, boolean level) {
        if (!softwareEnabled()) {
            return false;
        }
        if (vector < 16) {
            error(ERROR_RECEIVE_ILLEGAL_VECTOR);
            return true;
        }
        long bit = 1L << vector;
        int word = vector >> 6;
        if (((long) WORD.getVolatile(levelTriggered, word) & bit) != 0 != level) {
            if (level) {
                WORD.getAndBitwiseOr(levelTriggered, word, bit);
            } else {
                WORD.getAndBitwiseAnd(levelTriggered, word, ~bit);
            }
        }
        WORD.getAndBitwiseOr(requested, word, bit);
        events.raise(Events.INTERRUPT);
        return true;
    }

    /** The 8259's wire, connected to LINT0. */
    void setExternal(boolean high, IntSupplier acknowledge) {
        external = high ? acknowledge : null;
        if (high && externalReady()) {
            events.raise(Events.INTERRUPT);
        }
    }

    /** A pulse on LINT1, to which machines connect their NMI button. */
    void pulseLint1() {
        if (enabled()) {
            deliverLocal(LVT_LINT1);
        } else {
            events.raise(Events.NMI);
        }
    }

    private boolean externalReady() {
        if (externalMessage) {
            return true;
        }
        if (external == null) {
            return false;
        }
        int entry = lvt[LVT_LINT0 - LVT_TIMER];
        return !enabled() || (entry & (LVT_MASKED | 0x700)) == InterruptMessage.EXTINT << 8;
    }

    private void deliverLocal(int register) {
        int entry = lvt[register - LVT_TIMER];
        if ((entry & LVT_MASKED) != 0) {
            return;
        }
        int mode = register == LVT_TIMER || register == LVT_ERROR ? InterruptMessage.FIXED : entry >> 8 & 7;
        switch (mode) {
            case InterruptMessage.FIXED -> request(entry & 0xff, false);
            case InterruptMessage.NMI -> events.raise(Events.NMI);
            case InterruptMessage.INIT -> events.raise(Events.INIT);
            default -> {
                // SMI does not exist here, ExtINT has no meaning for a pulse, the rest is reserved.
            }
        }
    }

    private void error(int bit) {
        int before = (int) ERRORS.getAndBitwiseOr(this, bit);
        if ((before & bit) == 0) {
            deliverLocal(LVT_ERROR);
        }
    }

    // ---- interrupts go out to the processor, on its thread

    /**
     * Takes the most urgent interrupt for delivery now: it is in service from here on (those of the 8259 are not).
     *
     * @return its vector, or -1 when none may be delivered at the present priority
     */
    int acknowledge() {
        events.clear(Events.INTERRUPT);
        if (externalReady()) {
            IntSupplier source = external;
            externalMessage = false;
            int vector = source == null ? -1 : source.getAsInt();
            announce();
            if (vector >= 0) {
                return vector & 0xff;
            }
        }
        int vector = highest(requested);
        if (vector < 0 || vector >> 4 <= priority >> 4 || !enabled()) {
            return -1;
        }
        WORD.getAndBitwiseAnd(requested, vector >> 6, ~(1L << vector));
        if (((long) WORD.getVolatile(automaticEnd, vector >> 6) >>> vector & 1) == 0) {
            inService[vector >> 6] |= 1L << vector;
            priority = vector & 0xf0; // higher than the task priority, or it would not have been delivered
        }
        announce();
        return vector;
    }

    /** Whether interrupts with this vector end as soon as they are delivered. Any thread. */
    void setAutomaticEnd(int vector, boolean automatic) {
        if (automatic) {
            WORD.getAndBitwiseOr(automaticEnd, vector >> 6, 1L << vector);
        } else {
            WORD.getAndBitwiseAnd(automaticEnd, vector >> 6, ~(1L << vector));
        }
    }

    /** Whether {@link #acknowledge} would return a vector. */
    boolean deliverable() {
        return externalReady() || enabled() && highest(requested) >> 4 > priority >> 4;
    }

    private void announce() {
        if (deliverable()) {
            events.raise(Events.INTERRUPT);
        }
    }

    /** End of the interrupt with the highest priority in service. */
    void endOfInterrupt() {
        int vector = highest(inService);
        if (vector < 0) {
            return;
        }
        long bit = 1L << vector;
        inService[vector >> 6] &= ~bit;
        updatePriority();
        if (((long) WORD.getVolatile(levelTriggered, vector >> 6) & bit) != 0) {
            router.broadcastEndOfInterrupt(vector);
        }
    }

    /** The task priority class as CR8 shows it. */
    int cr8() {
        return taskPriority >> 4;
    }

    /** MOV to CR8; the value is 0 to 15. */
    void setCr8(int value) {
        setTaskPriority(value << 4);
    }

    private void setTaskPriority(int value) {
        taskPriority = value & 0xff;
        updatePriority();
    }

    /** Intel SDM vol. 3, section 12.8.3.1. */
    private void updatePriority() {
        int service = Math.max(highest(inService), 0) & 0xf0;
        priority = taskPriority >> 4 >= service >> 4 ? taskPriority : service;
        announce();
    }

    private static int highest(long[] bits) {
        for (int word = 3; word >= 0; word--) {
            long value = (long) WORD.getVolatile(bits, word);
            if (value != 0) {
                return word << 6 | 63 - Long.numberOfLeadingZeros(value);
            }
        }
        return -1;
    }

    // ---- registers, on the processor's thread

    /** IA32_APIC_BASE. */
    long baseRegister() {
        return base;
    }

    /**
     * WRMSR to IA32_APIC_BASE.
     *
     * @param addressMask the physical address bits that exist
     * @return false for #GP: a reserved bit or a forbidden change of mode (Intel SDM vol. 3, section 12.12.5)
     */
    boolean setBaseRegister(long value, long addressMask, boolean x2apicOffered) {
        long allowed = addressMask & ~0xfffL | BASE_BSP | BASE_ENABLED | (x2apicOffered ? BASE_X2APIC : 0);
        long old = base & (BASE_ENABLED | BASE_X2APIC);
        long now = value & (BASE_ENABLED | BASE_X2APIC);
        if ((value & ~allowed) != 0
                || now == BASE_X2APIC
                || old == (BASE_ENABLED | BASE_X2APIC) && now == BASE_ENABLED
                || old == 0 && now == (BASE_ENABLED | BASE_X2APIC)) {
            return false;
        }
        base = value;
        if (now == 0 && old != 0) {
            init();
        } else if (now != old && x2apic()) {
            logicalId = x2apicLogicalId();
            interruptCommand &= 0xffff_ffffL;
        }
        return true;
    }

    /** A read of the xAPIC page. Registers are 4 bytes at multiples of 16; other bytes read as zero. */
    long readMemory(int offset, int size) {
        if ((offset & 0xf) + size > 4 && (offset & 0xf) != 0) {
            return 0;
        }
        int register = offset >> 4 & 0xff;
        int value;
        switch (register) {
            case ID -> value = id << 24;
            case APR -> value = arbitrationPriority();
            case LDR -> value = logicalId;
            case DFR -> value = destinationFormat;
            case ICR -> value = (int) interruptCommand;
            case ICR_HIGH -> value = (int) (interruptCommand >> 32);
            default -> {
                if (!readable(register)) {
                    error(ERROR_ILLEGAL_REGISTER);
                    return 0;
                }
                value = read(register);
            }
        }
        long shifted = (value & 0xffff_ffffL) >>> 8 * (offset & 3);
        return size >= 4 ? shifted : shifted & (1L << 8 * size) - 1;
    }

    /** A write to the xAPIC page; only whole registers can be written. */
    void writeMemory(int offset, int size, long written) {
        if ((offset & 0xf) != 0 || size < 4) {
            return;
        }
        int register = offset >> 4 & 0xff;
        int value = (int) written;
        switch (register) {
            case EOI -> endOfInterrupt();
            case ID, VERSION, APR, PPR, CURRENT_COUNT -> {
                // Read-only.
            }
            case LDR -> logicalId = value & 0xff00_0000;
            case DFR -> destinationFormat = value | 0x0fff_ffff;
            case ESR -> showErrors();
            case ICR -> {
                interruptCommand = interruptCommand & 0xffff_ffff_0000_0000L | value & 0x000c_cfffL;
                send(value, (int) (interruptCommand >>> 56), false);
            }
            case ICR_HIGH -> interruptCommand = (long) (value & 0xff00_0000) << 32 | interruptCommand & 0xffff_ffffL;
            default -> {
                if (writable(register)) {
                    write(register, value);
                } else {
                    error(ERROR_ILLEGAL_REGISTER);
                }
            }
        }
    }

    /** Whether MSR 0x800 + {@code register} exists and can be read. */
    boolean msrReadable(int register) {
        return x2apic() && (register == ID || register == LDR || register == ICR || readable(register));
    }

    /** RDMSR of 0x800 + {@code register}, which is readable. */
    long readMsr(int register) {
        return switch (register) {
            case ID -> id;
            case LDR -> x2apicLogicalId() & 0xffff_ffffL;
            case ICR -> interruptCommand;
            default -> read(register) & 0xffff_ffffL;
        };
    }

    /**
     * WRMSR to 0x800 + {@code register} (Intel SDM vol. 3, table 12-6).
     *
     * @return false for #GP: no such register, read-only, or a reserved bit set
     */
    boolean writeMsr(int register, long value) {
        if (!x2apic()) {
            return false;
        }
        if (register == ICR) {
            if ((value & X2APIC_ICR_RESERVED) != 0) {
                return false;
            }
            interruptCommand = value & ~0x1000L;
            send((int) value, (int) (value >>> 32), true);
            return true;
        }
        if (value >>> 32 != 0) {
            return false;
        }
        int low = (int) value;
        switch (register) {
            case EOI -> {
                if (low != 0) {
                    return false;
                }
                endOfInterrupt();
            }
            case ESR -> {
                if (low != 0) {
                    return false;
                }
                showErrors();
            }
            case SELF_IPI -> {
                if ((low & ~0xff) != 0) {
                    return false;
                }
                if (low < 16) {
                    error(ERROR_SEND_ILLEGAL_VECTOR);
                } else {
                    request(low, false);
                }
            }
            default -> {
                if (!writable(register) || (low & ~writableBits(register)) != 0) {
                    return false;
                }
                write(register, low);
            }
        }
        return true;
    }

    /** Registers that both modes can read and that are the same in both. */
    private static boolean readable(int register) {
        return switch (register) {
            case VERSION, TPR, PPR, SVR, ESR, INITIAL_COUNT, CURRENT_COUNT, DIVIDE -> true;
            default -> register >= ISR && register < ESR || register >= LVT_TIMER && register <= LVT_ERROR;
        };
    }

    /** Registers that both modes can write and that are the same in both. */
    private static boolean writable(int register) {
        return switch (register) {
            case TPR, SVR, INITIAL_COUNT, DIVIDE -> true;
            default -> register >= LVT_TIMER && register <= LVT_ERROR;
        };
    }

    /** Delivery status and remote IRR of LVT entries may be written, without effect. */
    private static int writableBits(int register) {
        return switch (register) {
            case TPR -> 0xff;
            case SVR -> SVR_WRITABLE;
            case INITIAL_COUNT -> -1;
            case DIVIDE -> 0xb;
            default -> LVT_WRITABLE[register - LVT_TIMER] | 0x5000;
        };
    }

    private int read(int register) {
        return switch (register) {
            case VERSION -> VERSION_VALUE;
            case TPR -> taskPriority;
            case PPR -> priority;
            case SVR -> spurious;
            case ESR -> errorStatus;
            case INITIAL_COUNT -> timer.initialCount();
            case CURRENT_COUNT -> timer.currentCount();
            case DIVIDE -> timer.divideConfiguration();
            default -> {
                if (register >= LVT_TIMER) {
                    yield lvt[register - LVT_TIMER];
                }
                long[] bits = register >= IRR ? requested : register >= TMR ? levelTriggered : inService;
                long word = (long) WORD.getVolatile(bits, (register & 7) >> 1);
                yield (int) (word >>> 32 * (register & 1));
            }
        };
    }

    private void write(int register, int value) {
        switch (register) {
            case TPR -> setTaskPriority(value);
            case SVR -> {
                spurious = value & SVR_WRITABLE;
                if ((value & SVR_ENABLED) == 0) {
                    for (int i = 0; i < LVT_COUNT; i++) {
                        lvt[i] |= LVT_MASKED;
                    }
                }
            }
            case INITIAL_COUNT -> timer.setInitialCount(value);
            case DIVIDE -> timer.setDivideConfiguration(value);
            default -> writeLvt(register, value);
        }
    }

    private void writeLvt(int register, int value) {
        int entry = value & LVT_WRITABLE[register - LVT_TIMER];
        if ((spurious & SVR_ENABLED) == 0) {
            entry |= LVT_MASKED;
        }
        lvt[register - LVT_TIMER] = entry;
        VarHandle.fullFence();
        if (register == LVT_TIMER) {
            timer.setMode(timerMode(entry));
        } else if (register == LVT_LINT0 && externalReady()) {
            events.raise(Events.INTERRUPT);
        }
    }

    /** The reserved mode 3 counts as periodic. */
    private static int timerMode(int entry) {
        int mode = entry >> 17 & 3;
        return mode > ApicTimer.TSC_DEADLINE ? ApicTimer.PERIODIC : mode;
    }

    private void showErrors() {
        errorStatus = (int) ERRORS.getAndSet(this, 0);
    }

    private int arbitrationPriority() {
        int request = Math.max(highest(requested), 0) & 0xf0;
        int service = Math.max(highest(inService), 0) & 0xf0;
        return taskPriority >> 4 >= request >> 4 && taskPriority >> 4 > service >> 4
                ? taskPriority
                : Math.max(Math.max(taskPriority & 0xf0, service), request);
    }

    private int x2apicLogicalId() {
        return id >> 4 << 16 | 1 << (id & 15);
    }

    /** The interrupt command register was written: Intel SDM vol. 3, section 12.6.1. */
    private void send(int command, int destination, boolean wide) {
        int mode = command >> 8 & 7;
        int vector = command & 0xff;
        if (mode == InterruptMessage.INIT && (command & 0xc000) == 0x8000) {
            return; // INIT level de-assert only synchronised arbitration ids, long ago
        }
        if (mode <= InterruptMessage.LOWEST_PRIORITY && vector < 16) {
            error(ERROR_SEND_ILLEGAL_VECTOR);
            return;
        }
        if (mode == InterruptMessage.EXTINT || mode == InterruptMessage.REMOTE_READ) {
            return;
        }
        boolean logical = (command & 0x800) != 0;
        InterruptMessage message = new InterruptMessage(vector, mode, logical, destination, wide, false);
        switch (command >> 18 & 3) {
            case 0 -> router.deliver(message);
            case 1 -> accept(message);
            case 2 -> {
                router.deliverToOthers(this, message);
                accept(message);
            }
            default -> router.deliverToOthers(this, message);
        }
    }

    // ---- state

    /** Writes the registers. What is pending besides vectors is saved with the processor's events. */
    void save(StateOutput out) {
        out.putLong(base)
                .putInt(taskPriority)
                .putInt(logicalId)
                .putInt(destinationFormat)
                .putInt(spurious);
        out.putLongs(requested).putLongs(inService).putLongs(levelTriggered);
        out.putInt(errors).putInt(errorStatus).putLong(interruptCommand).putInts(lvt);
        out.putInt(startupVector).putBoolean(externalMessage);
        timer.save(out);
    }

    /** Reads what {@link #save} wrote; the time-stamp counter must have been restored before. */
    void restore(StateInput in) {
        base = in.getLong();
        taskPriority = in.getInt() & 0xff;
        logicalId = in.getInt();
        destinationFormat = in.getInt();
        spurious = in.getInt() & SVR_WRITABLE;
        in.getLongs(requested);
        in.getLongs(inService);
        in.getLongs(levelTriggered);
        errors = in.getInt();
        errorStatus = in.getInt();
        interruptCommand = in.getLong();
        in.getInts(lvt);
        startupVector = in.getInt() & 0xff;
        externalMessage = in.getBoolean();
        for (int i = 0; i < LVT_COUNT; i++) {
            lvt[i] &= LVT_WRITABLE[i];
        }
        in.check((base & (BASE_ENABLED | BASE_X2APIC)) != BASE_X2APIC, "a local APIC is in no valid mode");
        timer.restore(in, timerMode(lvt[0]));
        updatePriority();
    }
}
