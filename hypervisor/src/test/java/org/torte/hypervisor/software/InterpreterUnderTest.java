package org.torte.hypervisor.software;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_LONG_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_SHORT_UNALIGNED;

import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;
import org.torte.base.GuestMemory;
import org.torte.base.RandomSource;
import org.torte.hypervisor.CpuState;
import org.torte.hypervisor.CpuidTable;
import org.torte.hypervisor.PartitionConfiguration;
import org.torte.hypervisor.oracle.CaseRecord;

/** The interpreter in 64-bit user mode with the address space of the oracle's process: one case at a time. */
final class InterpreterUnderTest implements AutoCloseable {
    private static final long CODE_FRAME = 0x10000;
    private static final long DATA_FRAME = 0x11000;
    private static final int MAX_STEPS = 64;

    private final GuestMemory memory = GuestMemory.allocate(1 << 20);
    private final PhysicalMemory physical;
    private final Interpreter interpreter;
    final Cpu cpu;

    /** The exception that ended the last case, or null if it got to the next instruction. */
    @Nullable
    GuestFault fault;

    InterpreterUnderTest() {
        CpuidTable cpuid = new CpuidTable.Builder()
                .leaf(1, 0x0A20F12, 0, 0xFFFF_FFFF & ~(1 << 27), -1)
                .subleaf(7, 0, 0, -1, 0, 0)
                .leaf(0x8000_0008, 36, 0, 0, 0)
                .build();
        PartitionConfiguration configuration = new PartitionConfiguration(
                memory, 1, cpuid, 1_000_000_000, new ManualTimers(), RandomSource.seeded(1), new NoDevices());
        InterruptRouter router = new InterruptRouter();
        Rendezvous rendezvous = new Rendezvous();
        physical = new PhysicalMemory(memory, 36, configuration.handler(), router.ioApic());
        cpu = new Cpu(0, physical, router, configuration.timers(), configuration.tscFrequency());
        router.connect(java.util.List.of(cpu.apic));
        rendezvous.connect(new Cpu[] {cpu});
        Segmentation segmentation = new Segmentation(cpu);
        Executor executor = new Executor(
                cpu,
                new Atomics(cpu, physical, rendezvous, LockedInstructions.ofHost()),
                new Ports(cpu, configuration.handler()),
                segmentation,
                new Interrupts(cpu, segmentation),
                new SystemInstructions(cpu, configuration),
                new FloatingPointUnit(cpu.fpu, cpu));
        interpreter = new Interpreter(cpu, executor, new BlockBuilder(cpu, physical, rendezvous));
        map(CaseRecord.CODE_PAGE, CODE_FRAME, 0x3000, 0x25);
        map(CaseRecord.DATA_PAGE, DATA_FRAME, 0x4000, 0x8000_0000_0000_0067L);
        memory.segment().asSlice(CODE_FRAME, 4096).fill((byte) 0xCC);
        enterUserMode();
    }

    private void map(long address, long frame, long table, long attributes) {
        memory.putLong(0x1000, 0x2067);
        memory.putLong(0x2000, 0x5067);
        memory.putLong(0x5000 + (address >>> 21 & 511) * 8, table | 0x67);
        memory.putLong(table + (address >>> 12 & 511) * 8, frame | attributes);
    }

    private void enterUserMode() {
        cpu.cr0 = Cpu.CR0_PE | Cpu.CR0_MP | Cpu.CR0_ET | Cpu.CR0_NE | Cpu.CR0_WP | Cpu.CR0_PG;
        cpu.cr3 = 0x1000;
        cpu.cr4 = Cpu.CR4_PAE | Cpu.CR4_OSFXSR | Cpu.CR4_OSXMMEXCPT | Cpu.CR4_OSXSAVE;
        // A task state segment without an I/O permission bitmap.
        cpu.limit[Cpu.TR] = 0x60;
        cpu.efer = Cpu.EFER_SCE | Cpu.EFER_LME | Cpu.EFER_LMA | Cpu.EFER_NXE;
        for (int s = 0; s < 6; s++) {
            cpu.selector[s] = s == CpuState.CS ? 0x33 : 0x2B;
            cpu.r[Cpu.BASE + s] = 0;
            cpu.limit[s] = -1;
            cpu.attributes[s] = s == CpuState.CS ? 0xA0FB : 0xC0F3;
        }
        cpu.fpu.xcr0 = 3;
        cpu.waitingForStartup = false;
        cpu.stateReplaced();
    }

    /** Executes one instruction, and the fetch of the next if that is not on the page of INT3. */
    void run(CaseRecord record) {
        memory.segment().asSlice(DATA_FRAME, CaseRecord.DATA & 0xFFF).fill((byte) 0);
        MemorySegment.copy(record.data(), 0, memory.segment(), DATA_FRAME + (CaseRecord.DATA & 0xFFF), 256);
        long code = CODE_FRAME + (CaseRecord.CODE & 0xFFF);
        MemorySegment.copy(record.code(), 0, memory.segment(), code, CaseRecord.CODE_SIZE);
        physical.written(code, CaseRecord.CODE_SIZE);
        for (int i = 0; i < 16; i++) {
            cpu.r[i] = record.register(i);
        }
        cpu.rip = CaseRecord.CODE;
        cpu.setFlags((int) record.flags());
        load(record.fx());
        for (int step = 0; step < MAX_STEPS; step++) {
            interpreter.execute(true);
            fault = interpreter.fault;
            boolean again = cpu.rip == CaseRecord.CODE || cpu.rip >>> 12 != CaseRecord.CODE_PAGE >>> 12;
            if (fault != null || !again) {
                return;
            }
        }
    }

    /** One of the data bytes. */
    int data(int offset) {
        return memory.getByte(DATA_FRAME + (CaseRecord.DATA & 0xFFF) + offset);
    }

    /** All data bytes. */
    MemorySegment data() {
        return memory.segment().asSlice(DATA_FRAME + (CaseRecord.DATA & 0xFFF), CaseRecord.DATA_SIZE);
    }

    private void load(MemorySegment fx) {
        FpuState fpu = cpu.fpu;
        fpu.control = fx.get(JAVA_SHORT_UNALIGNED, 0) & 0xFFFF;
        fpu.setStatusWord(fx.get(JAVA_SHORT_UNALIGNED, 2) & 0xFFFF);
        fpu.empty = ~fx.get(JAVA_BYTE, 4) & 0xFF;
        fpu.mxcsr = fx.get(JAVA_INT_UNALIGNED, 24);
        for (int i = 0; i < 8; i++) {
            int physicalRegister = fpu.top + i & 7;
            fpu.significand[physicalRegister] = fx.get(JAVA_LONG_UNALIGNED, 32 + 16 * i);
            fpu.signExponent[physicalRegister] = fx.get(JAVA_SHORT_UNALIGNED, 40 + 16 * i) & 0xFFFF;
        }
        MemorySegment.copy(fx, JAVA_LONG_UNALIGNED, 160, fpu.xmm, 0, 32);
    }

    @Override
    public void close() {
        memory.close();
    }
}
