package org.torte.hypervisor.software;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_LONG_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_SHORT_UNALIGNED;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;
import org.torte.base.Clock;
import org.torte.base.GuestMemory;
import org.torte.base.PausableClock;
import org.torte.base.RandomSource;
import org.torte.hypervisor.CpuidTable;
import org.torte.hypervisor.PartitionConfiguration;
import org.torte.hypervisor.oracle.AddressSpace;
import org.torte.hypervisor.oracle.CaseRecord;
import org.torte.hypervisor.oracle.TestProgram;
import org.torte.hypervisor.software.translator.Translator;

/**
 * The interpreter in user mode with the address space and the segments of the oracle's process: one case at a time. Its
 * interrupt table is empty, so INT3 ends a case with #GP and the error code of entry 3.
 */
final class InterpreterUnderTest implements AutoCloseable {
    /** The error code of #GP for an entry of the empty interrupt table. */
    private static final int BREAKPOINT = 3 << 3 | 2, OVERFLOW = 4 << 3 | 2;

    // Guest-physical: page tables, then what the linear address space consists of.
    private static final long TOP = 0x1000, SECOND = 0x2000, THIRD = 0x3000, TABLES = 0x4000;
    static final long CODE_FRAME = 0x1_0000;
    static final long DATA_FRAME = 0x1_4000;
    private static final long SYSTEM_FRAME = 0x1_8000;

    /** Linear address of the descriptor tables, for the supervisor only. */
    static final long SYSTEM = 0x1ABC_D000L;

    private static final int LDT_OFFSET = 0x800;
    private static final int MAX_STEPS = 4096;

    final GuestMemory memory = GuestMemory.allocate(1 << 20);
    final PhysicalMemory physical;
    final Interpreter interpreter;
    private final Segmentation segmentation;

    @Nullable
    final TranslatedCode translated;

    final Cpu cpu;

    /** What the time-stamp counter goes by; it runs. */
    final PausableClock clock = new PausableClock(Clock.system());

    /** Guest-physical address and length of the last program. */
    private long codeFrame = CODE_FRAME;

    private int codeLength;

    /** Cases begun so far. */
    private final AtomicLong cases = new AtomicLong();

    private final CountDownLatch closed = new CountDownLatch(1);

    /** Whether the last case ended at INT3 (or INT 3), whose own address {@link Cpu#rip} then is. */
    boolean breakpoint;

    /** The exception that ended the last case, with the vector that INTO has; null if it ran too long. */
    @Nullable
    GuestFault fault;

    InterpreterUnderTest() {
        this(false);
    }

    /** With {@code translate} all that can be is translated before it is executed. */
    InterpreterUnderTest(boolean translate) {
        this(translate, TranslatedCode.BUDGET);
    }

    /** With so many instructions at most before translated code looks for events. */
    InterpreterUnderTest(boolean translate, int budget) {
        this(translate, budget, 1_000_000_000);
    }

    /** With a time-stamp counter of this frequency. */
    InterpreterUnderTest(boolean translate, int budget, long tscFrequency) {
        CpuidTable cpuid = new CpuidTable.Builder()
                .leaf(1, 0x0A20F12, 0, 0xFFFF_FFFF & ~(1 << 27), -1)
                .subleaf(7, 0, 0, -1, -1, 0)
                .subleaf(0xD, 1, -1, 0, 0, 0)
                .leaf(0x8000_0001, 0, 0, -1, -1)
                .leaf(0x8000_0008, 36, 0, 0, 0)
                .build();
        PartitionConfiguration configuration = new PartitionConfiguration(
                memory, 1, cpuid, tscFrequency, new ManualTimers(clock), RandomSource.seeded(1), new NoDevices());
        clock.resume();
        InterruptRouter router = new InterruptRouter();
        Rendezvous rendezvous = new Rendezvous();
        physical = new PhysicalMemory(memory, 36, configuration.handler(), router.ioApic());
        cpu = new Cpu(0, physical, router, configuration.timers(), configuration.tscFrequency());
        router.connect(List.of(cpu.apic));
        rendezvous.connect(new Cpu[] {cpu});
        segmentation = new Segmentation(cpu);
        Executor executor = new Executor(
                cpu,
                new Atomics(cpu, physical, rendezvous, LockedInstructions.ofHost()),
                new Ports(cpu, configuration.handler()),
                segmentation,
                new Interrupts(cpu, segmentation),
                new SystemInstructions(cpu, configuration),
                new FloatingPointUnit(cpu.fpu, cpu));
        BlockBuilder builder = new BlockBuilder(cpu, physical, rendezvous, new OfferedInstructions(cpuid));
        Translator translator = translate ? Translator.create(4 << 20) : null;
        translated = translator == null
                ? null
                : new TranslatedCode(cpu, physical, rendezvous, executor, builder, translator, 1, budget);
        interpreter = new Interpreter(cpu, executor, builder, translated);
        buildAddressSpace();
        enterUserMode();
        Thread.ofVirtual().start(this::endCasesThatDoNotEnd);
    }

    private void buildAddressSpace() {
        memory.putLong(TOP, SECOND | 0x67);
        memory.putLong(SECOND, THIRD | 0x67);
        long noExecute = Long.MIN_VALUE;
        map(0, AddressSpace.CODE, CODE_FRAME, AddressSpace.CODE_PAGES, 0x25);
        map(1, AddressSpace.DATA, DATA_FRAME, AddressSpace.DATA_PAGES, noExecute | 0x67);
        long constants = DATA_FRAME + AddressSpace.DATA_PAGES * 0x1000L;
        map(1, AddressSpace.CONSTANTS, constants, 1, noExecute | 0x25);
        map(2, SYSTEM, SYSTEM_FRAME, 1, 0x63);
        memory.segment().asSlice(CODE_FRAME, AddressSpace.CODE_PAGES * 0x1000L).fill((byte) 0xCC);
        for (int i = 0; i < 0x1000; i++) {
            memory.putByte(constants + i, AddressSpace.constant(i));
        }
        putDescriptors();
        for (int i = 0; i < AddressSpace.LDT.size(); i++) {
            memory.putLong(
                    SYSTEM_FRAME + LDT_OFFSET + 8L * i, AddressSpace.LDT.get(i).descriptor());
        }
    }

    /** Makes the descriptors of the global table what they were. */
    void putDescriptors() {
        descriptor(AddressSpace.FLAT_CODE_32, AddressSpace.FLAT_CODE_32_DESCRIPTOR);
        descriptor(AddressSpace.FLAT_DATA, AddressSpace.FLAT_DATA_DESCRIPTOR);
        descriptor(AddressSpace.FLAT_CODE_64, AddressSpace.FLAT_CODE_64_DESCRIPTOR);
        descriptor(AddressSpace.PROCESSOR_NUMBER, AddressSpace.PROCESSOR_NUMBER_DESCRIPTOR);
    }

    void descriptor(int selector, long descriptor) {
        memory.putLong(SYSTEM_FRAME + (selector & ~7), descriptor);
    }

    void map(int tableNumber, long address, long frame, int pages, long attributes) {
        long table = TABLES + tableNumber * 0x1000L;
        memory.putLong(THIRD + (address >>> 21 & 511) * 8, table | 0x67);
        for (int i = 0; i < pages; i++) {
            memory.putLong(table + ((address >>> 12) + i & 511) * 8, frame + i * 0x1000L | attributes);
        }
    }

    /** Writes code to guest-physical memory, in hexadecimal digits. */
    void put(long frame, String code) {
        byte[] bytes = HexFormat.of().parseHex(code);
        MemorySegment.copy(bytes, 0, memory.segment(), JAVA_BYTE, frame, bytes.length);
        physical.written(frame, bytes.length);
    }

    /** Executes from the current instruction on until an exception. */
    GuestFault untilException() {
        do {
            cpu.events.attention = false;
            interpreter.execute(false);
        } while (interpreter.fault == null);
        return interpreter.fault;
    }

    private void enterUserMode() {
        cpu.cr0 = Cpu.CR0_PE | Cpu.CR0_MP | Cpu.CR0_ET | Cpu.CR0_NE | Cpu.CR0_WP | Cpu.CR0_AM | Cpu.CR0_PG;
        cpu.cr3 = TOP;
        cpu.cr4 = Cpu.CR4_PAE | Cpu.CR4_OSFXSR | Cpu.CR4_OSXMMEXCPT | Cpu.CR4_OSXSAVE | Cpu.CR4_FSGSBASE;
        cpu.efer = Cpu.EFER_SCE | Cpu.EFER_LME | Cpu.EFER_LMA | Cpu.EFER_NXE;
        cpu.gdtBase = SYSTEM;
        cpu.gdtLimit = 0x7F;
        cpu.idtLimit = 0;
        // A task state segment without an I/O permission bitmap.
        cpu.limit[Cpu.TR] = 0x60;
        cpu.r[Cpu.BASE + Cpu.LDTR] = SYSTEM + LDT_OFFSET;
        cpu.limit[Cpu.LDTR] = 8 * AddressSpace.LDT.size() - 1;
        cpu.attributes[Cpu.LDTR] = 0x82;
        cpu.fpu.xcr0 = 3;
        cpu.waitingForStartup = false;
    }

    private void loadSegments(CaseRecord record) {
        cpu.setSystemFlags(2);
        for (int s = 0; s < 6; s++) {
            int selector = record.selector(s);
            if ((selector & ~3) == 0) {
                segmentation.setNull(s, selector);
            } else {
                long at = (selector & 4) != 0 ? LDT_OFFSET : 0;
                segmentation.set(s, selector, memory.getLong(SYSTEM_FRAME + at + (selector & ~7)));
            }
        }
        cpu.setCpl(3);
        cpu.interruptShadow = false;
        cpu.modeChanged();
    }

    /** 64-bit user mode with flat segments, and bases in FS and GS. */
    void enterLongUserMode() {
        cpu.setSystemFlags(2);
        for (int s = 0; s < 6; s++) {
            int selector = s == Cpu.CS ? AddressSpace.FLAT_CODE_64 : AddressSpace.FLAT_DATA;
            segmentation.set(s, selector, memory.getLong(SYSTEM_FRAME + (selector & ~7)));
        }
        cpu.r[Cpu.BASE + Cpu.FS] = AddressSpace.DATA;
        cpu.r[Cpu.BASE + Cpu.GS] = AddressSpace.DATA + 0x1000;
        cpu.setCpl(3);
        cpu.interruptShadow = false;
        cpu.modeChanged();
    }

    /**
     * Executes a program until an exception.
     *
     * @param single one instruction at a time, instead of blocks
     */
    void run(CaseRecord record, boolean single) {
        start(record);
        execute(single);
    }

    /**
     * Whether a program's instructions run in their order, some of them left out perhaps. A branch to a target from a
     * register or memory may by chance come back to the program's bytes, in the middle of an instruction too.
     */
    boolean runsInOrder(TestProgram program, CaseRecord record) {
        List<Long> starts = new ArrayList<>();
        long length = 0;
        for (byte[] code : program.encodings()) {
            starts.add(length);
            length += code.length;
        }
        start(record);
        boolean inOrder = true;
        int last = -1;
        fault = null;
        for (int step = 0; step < MAX_STEPS && fault == null && inOrder; step++) {
            long distance = cpu.rip - record.rip();
            if (distance >= 0 && distance < length) {
                int now = starts.indexOf(distance);
                boolean repeats =
                        now >= 0 && now == last && program.instructions().get(now).repeat != 0;
                inOrder = now > last || repeats;
                last = now;
            }
            interpreter.execute(true);
            cpu.setInterruptShadow(false);
            fault = interpreter.fault;
        }
        return inOrder;
    }

    /** Removes the last program, so that none of its blocks is left. */
    void forgetCode() {
        memory.segment().asSlice(codeFrame, codeLength).fill((byte) 0xCC);
        physical.written(codeFrame, codeLength);
        codeLength = 0;
    }

    /** Puts a program there, unless it is the last one again, which nothing can have changed. */
    private void loadCode(CaseRecord record) {
        MemorySegment ram = memory.segment();
        long offset = record.codeAddress() - AddressSpace.CODE;
        long frame = CODE_FRAME + offset;
        int length = (int) Math.min(CaseRecord.CODE_SIZE, AddressSpace.CODE_PAGES * 0x1000L - offset);
        if (frame == codeFrame
                && length == codeLength
                && MemorySegment.mismatch(record.code(), 0, length, ram, frame, frame + length) < 0) {
            return;
        }
        forgetCode();
        codeFrame = frame;
        codeLength = length;
        MemorySegment.copy(record.code(), 0, ram, frame, length);
        physical.written(frame, length);
    }

    private void start(CaseRecord record) {
        MemorySegment ram = memory.segment();
        long at = 0;
        long end = DATA_FRAME;
        for (AddressSpace.Window window : AddressSpace.WINDOWS) {
            long frame = window.address() - AddressSpace.DATA + DATA_FRAME;
            ram.asSlice(end, frame - end).fill((byte) 0);
            MemorySegment.copy(record.data(), at, ram, frame, window.size());
            at += window.size();
            end = frame + window.size();
        }
        loadCode(record);
        loadSegments(record);
        for (int i = 0; i < 16; i++) {
            cpu.r[i] = record.register(i);
        }
        cpu.rip = record.rip();
        cpu.setFlags((int) record.flags());
        load(record.fx());
    }

    private void execute(boolean single) {
        breakpoint = false;
        cases.incrementAndGet();
        for (int step = 0; step < MAX_STEPS; step++) {
            cpu.events.attention = false;
            interpreter.execute(single || cpu.interruptShadow);
            cpu.setInterruptShadow(false);
            fault = interpreter.fault;
            if (cpu.events.clear(Events.CANCEL) != 0) {
                fault = null;
                return;
            }
            if (fault != null) {
                if (fault.vector == GuestFault.GP && fault.errorCode == BREAKPOINT) {
                    breakpoint = true;
                } else if (fault.vector == GuestFault.GP && fault.errorCode == OVERFLOW) {
                    fault.with(GuestFault.OF, 0);
                }
                return;
            }
        }
    }

    /** Copies the windows. */
    void windows(MemorySegment target) {
        long at = 0;
        for (AddressSpace.Window window : AddressSpace.WINDOWS) {
            long frame = window.address() - AddressSpace.DATA + DATA_FRAME;
            MemorySegment.copy(memory.segment(), frame, target, at, window.size());
            at += window.size();
        }
    }

    private void load(MemorySegment fx) {
        FpuState fpu = cpu.fpu;
        fpu.control = fx.get(JAVA_SHORT_UNALIGNED, 0) & 0xFFFF;
        fpu.setStatusWord(fx.get(JAVA_SHORT_UNALIGNED, 2) & 0xFFFF);
        fpu.empty = ~fx.get(JAVA_BYTE, 4) & 0xFF;
        fpu.opcode = fx.get(JAVA_SHORT_UNALIGNED, 6) & 0x7FF;
        fpu.instructionPointer = fx.get(JAVA_LONG_UNALIGNED, 8);
        // The kernel restores with REX.W, which clears them.
        fpu.codeSelector = 0;
        fpu.dataSelector = 0;
        fpu.dataPointer = fx.get(JAVA_LONG_UNALIGNED, 16);
        fpu.mxcsr = fx.get(JAVA_INT_UNALIGNED, 24);
        for (int i = 0; i < 8; i++) {
            int physicalRegister = fpu.top + i & 7;
            fpu.significand[physicalRegister] = fx.get(JAVA_LONG_UNALIGNED, 32 + 16 * i);
            fpu.signExponent[physicalRegister] = fx.get(JAVA_SHORT_UNALIGNED, 40 + 16 * i) & 0xFFFF;
        }
        MemorySegment.copy(fx, JAVA_LONG_UNALIGNED, 160, fpu.xmm, 0, 32);
    }

    /** Ends a case that has gone on for a second at least: it would run for ever, as branches may by chance. */
    private void endCasesThatDoNotEnd() {
        while (true) {
            long now = cases.get();
            try {
                if (closed.await(1, TimeUnit.SECONDS)) {
                    return;
                }
            } catch (InterruptedException e) {
                return;
            }
            if (cases.get() == now) {
                cpu.events.raise(Events.CANCEL);
            }
        }
    }

    @Override
    public void close() {
        closed.countDown();
        memory.close();
    }
}
