package org.torte.machine.hyperv;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Optional;
import java.util.function.BiConsumer;
import java.util.function.Consumer;
import org.torte.base.GuestMemory;
import org.torte.base.StateInput;
import org.torte.base.StateOutput;
import org.torte.base.Timers;
import org.torte.hypervisor.ExitHandler.MsrValue;
import org.torte.hypervisor.Partition.Doorbell;
import org.torte.machine.GuestCrash;
import org.torte.machine.chipset.Device;
import org.torte.machine.chipset.PowerControl;

/**
 * The synthetic model-specific registers, hypercalls and interrupt controllers. Called by several processors at once.
 * Registers that CPUID does not offer do not exist.
 */
public final class HypervInterface implements Device, SynicPort {
    /** The ports that the hypercall page writes to, from 64-bit code and from other; known to nobody but that page. */
    private static final int WIDE_PORT = 0xec, NARROW_PORT = 0xed;

    /**
     * The port to which the page writes the connection of an event: a value that a back-end can take without stopping the
     * processor ({@link #doorbell}).
     */
    private static final int EVENT_PORT = 0xee;

    /** Ticks of the local APIC's timer per second, on every back-end. */
    private static final long APIC_FREQUENCY = 1_000_000_000L;

    private static final int GUEST_ID = 0x4000_0000, HYPERCALL = 0x4000_0001, PROCESSOR_INDEX = 0x4000_0002;
    private static final int RESET = 0x4000_0003, REFERENCE_COUNT = 0x4000_0020, REFERENCE_PAGE = 0x4000_0021;
    private static final int TSC_FREQUENCY = 0x4000_0022, APIC_TIMER_FREQUENCY = 0x4000_0023;
    private static final int RUN_TIME = 0x4000_0010;
    private static final int ASSIST_PAGE = 0x4000_0073, IDLE = 0x4000_00f0;
    private static final int CRASH_PARAMETER = 0x4000_0100, CRASH_CONTROL = 0x4000_0105;
    private static final long ENABLE = 1, LOCKED = 2;
    private static final long PAGE_MASK = -GuestMemory.PAGE_SIZE;
    private static final long CRASH_NOTIFY = 1L << 63, CRASH_MESSAGE = 1L << 62;
    private static final int CRASH_PARAMETERS = 5;
    private static final int MAX_MESSAGE = 4096;

    /**
     * Code that reads differently in different modes, because 64-bit code knows no 16-bit addresses:
     *
     * <pre>
     *   64-bit                          other
     *   ENDBR64                         ENDBR64, a no-operation
     *   NOP [ESI]                       NOP [05EBh]
     *   JMP +5
     *                                   OUT 0EDh, AL; RET; two bytes of filling
     *   CMP RCX, 1005Dh; JNE general
     *   MOV RAX, RDX; SHR RAX, 32; JNZ general
     *   MOV EAX, EDX; OUT 0EEh, EAX; SUB EAX, EDX; RET
     *   general: OUT 0ECh, AL; RET
     * </pre>
     *
     * <p>What is compared is a fast HvCallSignalEvent, which has its connection in EDX; with flag 0 that is the whole
     * input. Where nobody stops at port 0EEh the result is 0, success; else the connection and the status are added.
     */
    private static final byte[] HYPERCALL_CODE = {
        (byte) 0xf3,
        0x0f,
        0x1e,
        (byte) 0xfa,
        0x67,
        0x0f,
        0x1f,
        0x06,
        (byte) 0xeb,
        0x05,
        (byte) 0xe6,
        (byte) NARROW_PORT,
        (byte) 0xc3,
        (byte) 0xcc,
        (byte) 0xcc,
        0x48,
        (byte) 0x81,
        (byte) 0xf9,
        0x5d,
        0x00,
        0x01,
        0x00,
        0x75,
        0x10,
        0x48,
        (byte) 0x89,
        (byte) 0xd0,
        0x48,
        (byte) 0xc1,
        (byte) 0xe8,
        0x20,
        0x75,
        0x07,
        (byte) 0x89,
        (byte) 0xd0,
        (byte) 0xe7,
        (byte) EVENT_PORT,
        0x29,
        (byte) 0xd0,
        (byte) 0xc3,
        (byte) 0xe6,
        (byte) WIDE_PORT,
        (byte) 0xc3
    };

    private final GuestMemory memory;
    private final PartitionPort partition;
    private final PowerControl power;
    private final Consumer<GuestCrash> crashed;
    private long tscFrequency;
    private final ReferenceClock time;
    private final ReferencePage referencePage;
    private final SyntheticInterrupts[] interrupts;
    private final Hypercalls hypercalls;

    private long guestId;
    private volatile long hypercall;
    private final long[] assistPages;

    /** What is added to each processor's own run time: what it had before the machine was saved, in nanoseconds. */
    private final long[] earlierRunTime;

    private final long[] crash = new long[CRASH_PARAMETERS];

    /**
     * The interface of a machine with RAM full of zeroes.
     *
     * @param crashed is told what guests report about their own failure
     */
    public HypervInterface(
            GuestMemory memory,
            PartitionPort partition,
            Timers timers,
            long tscFrequency,
            int processors,
            PowerControl power,
            Consumer<GuestCrash> crashed) {
        this.memory = memory;
        this.partition = partition;
        this.power = power;
        this.crashed = crashed;
        this.tscFrequency = tscFrequency;
        time = new ReferenceClock(timers.clock());
        referencePage = new ReferencePage(memory, partition, time, tscFrequency);
        assistPages = new long[processors];
        earlierRunTime = new long[processors];
        interrupts = new SyntheticInterrupts[processors];
        for (int i = 0; i < processors; i++) {
            interrupts[i] = new SyntheticInterrupts(i, memory, partition, timers, time);
        }
        hypercalls = new Hypercalls(memory, partition, processors, new Hypercalls.Registers() {
            @Override
            public boolean read(int processor, int msr, MsrValue value) {
                return readMsr(processor, msr, value);
            }

            @Override
            public boolean write(int processor, int msr, long value) {
                return writeMsr(processor, msr, value);
            }
        });
    }

    /** Says who answers the guest's messages and events; before the machine runs. */
    public void connect(Connections connections) {
        hypercalls.connect(connections);
    }

    /** The partition reference time, in units of 100 ns. */
    public long referenceTime() {
        return time.now();
    }

    /** Says at which rate time stamps really count; before the machine runs. */
    public void setTscFrequency(long frequency) {
        tscFrequency = frequency;
        referencePage.setFrequency(frequency);
    }

    /** OUT: whether this was the port of the hypercall page, and the write a call, which is now answered. */
    public boolean writePort(int processor, int port, int size) {
        if ((hypercall & ENABLE) == 0) {
            return false;
        }
        if (port == EVENT_PORT && size == Integer.BYTES) {
            hypercalls.signal(processor);
            return true;
        }
        if ((port | 1) != (WIDE_PORT | 1) || size != 1) {
            return false;
        }
        hypercalls.call(processor, port == WIDE_PORT);
        return true;
    }

    @Override
    public Optional<Doorbell> doorbell(int connection, Runnable rung) {
        return partition.doorbell(EVENT_PORT, connection, rung);
    }

    @Override
    public int processors() {
        return interrupts.length;
    }

    @Override
    public boolean post(int processor, int sint, int type, byte[] payload) {
        return interrupts[processor].post(sint, type, payload);
    }

    @Override
    public int room(int processor, int sint) {
        return interrupts[processor].room(sint);
    }

    @Override
    public void signal(int processor, int sint, int flag) {
        interrupts[processor].signal(sint, flag);
    }

    @Override
    public void discard(int processor, int sint) {
        interrupts[processor].discard(sint);
    }

    /** RDMSR; see {@link org.torte.hypervisor.ExitHandler#readMsr}. */
    public boolean readMsr(int processor, int index, MsrValue result) {
        if (index >= SyntheticInterrupts.FIRST && index <= SyntheticInterrupts.LAST) {
            boolean[] exists = new boolean[1];
            result.value = interrupts[processor].read(index, exists);
            return exists[0];
        }
        if (index == IDLE) {
            // Until an interrupt is there, which the guest then takes, or finds if it does not take any now.
            partition.processor(processor).awaitInterrupt();
            result.value = 0;
            return true;
        }
        return readCommon(processor, index, result);
    }

    private synchronized boolean readCommon(int processor, int index, MsrValue result) {
        if (index >= CRASH_PARAMETER && index < CRASH_PARAMETER + CRASH_PARAMETERS) {
            result.value = crash[index - CRASH_PARAMETER];
            return true;
        }
        switch (index) {
            case GUEST_ID -> result.value = guestId;
            case HYPERCALL -> result.value = hypercall;
            case PROCESSOR_INDEX -> result.value = processor;
            case RESET -> result.value = 0;
            case RUN_TIME -> result.value = runTime(processor) / ReferenceClock.NANOS_PER_UNIT;
            case REFERENCE_COUNT -> result.value = time.now();
            case REFERENCE_PAGE -> result.value = referencePage.register();
            case TSC_FREQUENCY -> result.value = tscFrequency;
            case APIC_TIMER_FREQUENCY -> result.value = APIC_FREQUENCY;
            case ASSIST_PAGE -> result.value = assistPages[processor];
            case CRASH_CONTROL -> result.value = CRASH_NOTIFY | CRASH_MESSAGE;
            default -> {
                return false;
            }
        }
        return true;
    }

    /** TLFS, "Virtual Processor Run Time Register"; it goes on over resets and restores. */
    private long runTime(int processor) {
        return earlierRunTime[processor] + partition.processor(processor).runTime();
    }

    /** WRMSR; see {@link org.torte.hypervisor.ExitHandler#writeMsr}. */
    public boolean writeMsr(int processor, int index, long value) {
        referencePage.follow(processor);
        return index >= SyntheticInterrupts.FIRST && index <= SyntheticInterrupts.LAST
                ? interrupts[processor].write(index, value)
                : writeCommon(processor, index, value);
    }

    private synchronized boolean writeCommon(int processor, int index, long value) {
        if (index >= CRASH_PARAMETER && index < CRASH_PARAMETER + CRASH_PARAMETERS) {
            crash[index - CRASH_PARAMETER] = value;
            return true;
        }
        return switch (index) {
            case GUEST_ID -> {
                guestId = value;
                if (value == 0) {
                    hypercall &= ~ENABLE;
                }
                yield true;
            }
            case HYPERCALL -> writeHypercall(value);
            case RESET -> {
                if ((value & 1) != 0) {
                    power.reset();
                }
                yield true;
            }
            case REFERENCE_PAGE -> referencePage.write(processor, value);
            case ASSIST_PAGE -> {
                boolean possible = (value & ENABLE) == 0 || isRam(value);
                if (possible) {
                    assistPages[processor] = value;
                }
                yield possible;
            }
            case CRASH_CONTROL -> {
                if ((value & CRASH_NOTIFY) != 0) {
                    reportCrash((value & CRASH_MESSAGE) != 0);
                }
                yield true;
            }
            default -> false;
        };
    }

    /** TLFS, "Establishing the Hypercall Interface". */
    private boolean writeHypercall(long value) {
        if ((hypercall & LOCKED) != 0) {
            return true;
        }
        if ((value & ENABLE) == 0 || guestId == 0) {
            hypercall = value & ~ENABLE;
            return true;
        }
        if (!isRam(value)) {
            return false;
        }
        hypercall = value;
        memory.write(value & PAGE_MASK, HYPERCALL_CODE, 0, HYPERCALL_CODE.length);
        partition.memoryWritten(value & PAGE_MASK, HYPERCALL_CODE.length);
        return true;
    }

    private boolean isRam(long register) {
        return memory.contains(register & PAGE_MASK, GuestMemory.PAGE_SIZE);
    }

    private void reportCrash(boolean withMessage) {
        String message = "";
        long length = Math.min(crash[4], MAX_MESSAGE);
        if (withMessage && length > 0 && memory.contains(crash[3], length)) {
            byte[] text = new byte[(int) length];
            memory.read(crash[3], text, 0, text.length);
            message = new String(text, StandardCharsets.UTF_8);
        }
        crashed.accept(new GuestCrash(crash[0], crash[1], crash[2], crash[3], crash[4], message));
    }

    @Override
    public String name() {
        return "hyperv";
    }

    @Override
    public synchronized void reset() {
        guestId = 0;
        hypercall = 0;
        referencePage.reset();
        Arrays.fill(assistPages, 0);
        Arrays.fill(crash, 0);
        time.restart();
        for (SyntheticInterrupts controller : interrupts) {
            controller.reset();
        }
    }

    @Override
    public int stateVersion() {
        return 3;
    }

    @Override
    public void start() {
        referencePage.resume();
    }

    @Override
    public synchronized void save(StateOutput state) {
        state.putLong(guestId)
                .putLong(hypercall)
                .putLong(referencePage.register())
                .putLong(time.start())
                .putLongs(assistPages)
                .putLongs(crash);
        for (SyntheticInterrupts controller : interrupts) {
            controller.save(state);
        }
        for (int i = 0; i < earlierRunTime.length; i++) {
            state.putLong(runTime(i));
        }
    }

    @Override
    public synchronized void restore(StateInput state) {
        guestId = state.getLong();
        hypercall = state.getLong();
        long page = state.getLong();
        if (state.version() == 1) {
            // Version 1 promised an invariant time-stamp counter, and kept the guest's acknowledgement here.
            long _ = state.getLong();
        }
        time.restore(state.getLong());
        referencePage.restore(page);
        state.getLongs(assistPages);
        state.getLongs(crash);
        for (SyntheticInterrupts controller : interrupts) {
            if (state.version() == 1) {
                controller.reset();
            } else {
                controller.restore(state);
            }
        }
        for (int i = 0; i < earlierRunTime.length; i++) {
            long saved = state.version() >= 3 ? state.getLong() : 0;
            state.check(saved >= 0, "a processor has run for a negative time");
            earlierRunTime[i] = saved - partition.processor(i).runTime();
        }
    }

    @Override
    public synchronized void inspect(BiConsumer<String, Object> sink) {
        sink.accept("guest-id", guestId);
        sink.accept("hypercall", hypercall);
        sink.accept("reference-page", referencePage.register());
        sink.accept("reference-time", time.now());
    }
}
