package org.torte.machine.hyperv;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.function.BiConsumer;
import java.util.function.Consumer;
import org.torte.base.Clock;
import org.torte.base.GuestMemory;
import org.torte.base.StateInput;
import org.torte.base.StateOutput;
import org.torte.hypervisor.ExitHandler.MsrValue;
import org.torte.machine.GuestCrash;
import org.torte.machine.chipset.BytePortDevice;
import org.torte.machine.chipset.Device;
import org.torte.machine.chipset.PortBus;
import org.torte.machine.chipset.PowerControl;

/**
 * The synthetic model-specific registers. Called by several processors at once. Registers that CPUID does not offer do
 * not exist.
 */
public final class HypervInterface implements Device {
    /** The port that the hypercall page writes to; its number is known to nobody but that page. */
    static final int HYPERCALL_PORT = 0xec;

    /** Ticks of the local APIC's timer per second, on every back-end. */
    private static final long APIC_FREQUENCY = 1_000_000_000L;

    private static final int GUEST_ID = 0x4000_0000, HYPERCALL = 0x4000_0001, PROCESSOR_INDEX = 0x4000_0002;
    private static final int RESET = 0x4000_0003, REFERENCE_COUNT = 0x4000_0020, REFERENCE_PAGE = 0x4000_0021;
    private static final int TSC_FREQUENCY = 0x4000_0022, APIC_TIMER_FREQUENCY = 0x4000_0023;
    private static final int ASSIST_PAGE = 0x4000_0073, CRASH_PARAMETER = 0x4000_0100, CRASH_CONTROL = 0x4000_0105;
    private static final int INVARIANT_CONTROL = 0x4000_0118;

    private static final long ENABLE = 1, LOCKED = 2;
    private static final long PAGE_MASK = -GuestMemory.PAGE_SIZE;
    private static final long CRASH_NOTIFY = 1L << 63, CRASH_MESSAGE = 1L << 62;
    private static final int CRASH_PARAMETERS = 5;
    private static final int MAX_MESSAGE = 4096;

    /**
     * ENDBR64; MOV EAX, HV_STATUS_INVALID_HYPERCALL_CODE; OUT port, AL; RET. RAX carries nothing into a hypercall, so a
     * call that nobody answers has its result already.
     */
    private static final byte[] HYPERCALL_CODE = {
        (byte) 0xf3, 0x0f, 0x1e, (byte) 0xfa, (byte) 0xb8, 2, 0, 0, 0, (byte) 0xe6, (byte) HYPERCALL_PORT, (byte) 0xc3
    };

    /** Tells the back-end of writes to guest memory. */
    @FunctionalInterface
    public interface MemoryWritten {
        /** {@code length} bytes at {@code address} have been written. */
        void at(long address, long length);
    }

    private final GuestMemory memory;
    private final MemoryWritten written;
    private final PowerControl power;
    private final Consumer<GuestCrash> crashed;
    private final long tscFrequency;
    private final ReferenceClock time;

    private long guestId;
    private long hypercall;
    private long referencePage;
    private long invariantControl;
    private final long[] assistPages;
    private final long[] crash = new long[CRASH_PARAMETERS];

    /**
     * The interface of a machine with RAM full of zeroes.
     *
     * @param crashed is told what guests report about their own failure
     */
    public HypervInterface(
            GuestMemory memory,
            MemoryWritten written,
            Clock clock,
            long tscFrequency,
            int processors,
            PowerControl power,
            Consumer<GuestCrash> crashed) {
        this.memory = memory;
        this.written = written;
        this.power = power;
        this.crashed = crashed;
        this.tscFrequency = tscFrequency;
        time = new ReferenceClock(clock, tscFrequency);
        assistPages = new long[processors];
    }

    /** Puts its ports on the bus. */
    public void connect(PortBus bus) {
        bus.add(HYPERCALL_PORT, 1, new BytePortDevice() {
            @Override
            public int readByte(int offset) {
                return 0xff;
            }

            @Override
            public void writeByte(int offset, int value) {}
        });
    }

    /** RDMSR; see {@link org.torte.hypervisor.ExitHandler#readMsr}. */
    public synchronized boolean readMsr(int processor, int index, MsrValue result) {
        if (index >= CRASH_PARAMETER && index < CRASH_PARAMETER + CRASH_PARAMETERS) {
            result.value = crash[index - CRASH_PARAMETER];
            return true;
        }
        switch (index) {
            case GUEST_ID -> result.value = guestId;
            case HYPERCALL -> result.value = hypercall;
            case PROCESSOR_INDEX -> result.value = processor;
            case RESET -> result.value = 0;
            case REFERENCE_COUNT -> result.value = time.now();
            case REFERENCE_PAGE -> result.value = referencePage;
            case TSC_FREQUENCY -> result.value = tscFrequency;
            case APIC_TIMER_FREQUENCY -> result.value = APIC_FREQUENCY;
            case ASSIST_PAGE -> result.value = assistPages[processor];
            case CRASH_CONTROL -> result.value = CRASH_NOTIFY | CRASH_MESSAGE;
            case INVARIANT_CONTROL -> result.value = invariantControl;
            default -> {
                return false;
            }
        }
        return true;
    }

    /** WRMSR; see {@link org.torte.hypervisor.ExitHandler#writeMsr}. */
    public synchronized boolean writeMsr(int processor, int index, long value) {
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
            case REFERENCE_PAGE -> writeReferencePage(value);
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
            case INVARIANT_CONTROL -> {
                invariantControl = value & 1;
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
        written.at(value & PAGE_MASK, HYPERCALL_CODE.length);
        return true;
    }

    /** TLFS, "Reference Time Stamp Counter (TSC) Page": sequence, reserved, scale, offset. */
    private boolean writeReferencePage(long value) {
        if ((value & ENABLE) != 0) {
            if (!isRam(value)) {
                return false;
            }
            long page = value & PAGE_MASK;
            memory.putInt(page, 0);
            memory.putInt(page + 4, 0);
            memory.putLong(page + 8, time.scale());
            memory.putLong(page + 16, 0);
            java.lang.invoke.VarHandle.releaseFence();
            memory.putInt(page, 1);
            written.at(page, 24);
        }
        referencePage = value;
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
        referencePage = 0;
        invariantControl = 0;
        Arrays.fill(assistPages, 0);
        Arrays.fill(crash, 0);
        time.restart();
    }

    @Override
    public int stateVersion() {
        return 1;
    }

    @Override
    public synchronized void save(StateOutput state) {
        state.putLong(guestId)
                .putLong(hypercall)
                .putLong(referencePage)
                .putLong(invariantControl)
                .putLong(time.start())
                .putLongs(assistPages)
                .putLongs(crash);
    }

    @Override
    public synchronized void restore(StateInput state) {
        guestId = state.getLong();
        hypercall = state.getLong();
        referencePage = state.getLong();
        invariantControl = state.getLong() & 1;
        time.restore(state.getLong());
        state.getLongs(assistPages);
        state.getLongs(crash);
    }

    @Override
    public synchronized void inspect(BiConsumer<String, Object> sink) {
        sink.accept("guest-id", guestId);
        sink.accept("hypercall", hypercall);
        sink.accept("reference-page", referencePage);
        sink.accept("reference-time", time.now());
    }
}
