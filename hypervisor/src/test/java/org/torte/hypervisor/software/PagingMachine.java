package org.torte.hypervisor.software;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.Random;
import org.jspecify.annotations.Nullable;
import org.torte.base.GuestMemory;
import org.torte.base.RandomSource;
import org.torte.hypervisor.CpuState;
import org.torte.hypervisor.PartitionConfiguration;
import org.torte.hypervisor.TranslatorMode;
import org.torte.hypervisor.VirtualProcessor;

/**
 * A processor with a kernel for {@link PagingPrograms}: two address spaces, whose low 2 MiB are mapped to themselves for
 * the supervisor, four windows of eight pages each that programs map as they like, and handlers that write down every
 * exception with all registers and go on at r15 with the stack in r14 ({@code #DB} and {@code #MF}: where it was).
 */
final class PagingMachine implements AutoCloseable {
    static final int PAGE = 0x1000;

    /** The top tables of the two address spaces, and their own page directories. */
    static final int[] ROOTS = {0x1000, 0x2000}, DIRECTORIES = {0x5000, 0x6000};

    private static final int[] POINTERS = {0x3000, 0x4000};
    private static final int VARIABLES = 0x7000, LOW_TABLE = 0x8000, USER_TABLE = 0x9000;
    private static final int HIGH_POINTERS = 0xa000;
    static final int HIGH_DIRECTORY = 0xb000;

    /** The tables of each space's windows: the first and the third are its own. */
    static final int[][] TABLES = {{0xc000, 0xe000, 0xf000, 0x1_1000}, {0xd000, 0xe000, 0x1_0000, 0x1_1000}};

    /**
     * Where the windows are. The first three fall on the same entries of the soft TLB; the third may be one large page;
     * programs find all of them by four bytes.
     */
    static final int[] WINDOWS = {0x1000_0000, 0x1100_0000, 0x1200_0000, 0x9010_0000};

    /** Pages of a window. */
    static final int PAGES = 8;

    private static final int GDT = 0x1_2000, IDT = 0x1_3000, TASK = 0x1_4000, HANDLERS = 0x1_5000;
    private static final int EXCEPTION_STACK = 0x1_9000;

    /** What r14 is in programs, by privilege. */
    static final int KERNEL_STACK = 0x1_af00, USER_STACK = 0x41_cf00;

    /** Where a program is, and what to add to that for where user code sees it. */
    static final int CODE = 0x4_0000, USER = 0x40_0000;

    /** Room for a program. */
    static final int ROOM = 0xf000;

    /** A program's loop counter. */
    static final int COUNTER = VARIABLES + 16;

    private static final int LOG = 0x5_0000, SYSTEM_END = 0x6_0000;

    /** The frames that windows may be mapped to, eight in each of two regions that a large page may cover. */
    static final int[] REGIONS = {0x20_0000, 0x40_0000};

    /** Bytes of them, and of the page behind. */
    private static final int REGION = (PAGES + 1) * PAGE;

    private static final int KERNEL_CODE = 0x10, KERNEL_DATA = 0x18, TASK_SELECTOR = 0x38;
    private static final long MEMORY = 6 << 20;

    /** By vector: pushes its number, and an error code where the processor does not. */
    private static final int ERROR_CODES = 1 << 8 | 1 << 10 | 1 << 11 | 1 << 12 | 1 << 13 | 1 << 14 | 1 << 17;

    /** Behind the stub of a vector. At the end everything is as it was, but where to go on. */
    private static final String HANDLER = """
            50 # push rax
            51 # push rcx
            52 # push rdx
            53 # push rbx
            55 # push rbp
            56 # push rsi
            57 # push rdi
            4150 # push r8
            4151 # push r9
            4152 # push r10
            4153 # push r11
            4154 # push r12
            4155 # push r13
            4156 # push r14
            4157 # push r15
            488b3c2500700000 # mov rdi,QWORD 0x7000
            4889e6 # mov rsi,rsp
            b916000000 # mov ecx,0x16
            f348a5 # rep movs QWORD es:[rdi],QWORD PTR [rsi]
            488b5c2478 # mov rbx,QWORD [rsp+0x78]
            f747e800010000 # test DWORD [rdi-0x18],0x100
            7508 # jne +0x40
            488167e82af7ffff # and QWORD [rdi-0x18],0xfffffffffffff72a
            0f20d0 # mov rax,cr2
            48ab # stos QWORD es:[rdi],rax
            0f21f0 # mov rax,dr6
            48ab # stos QWORD es:[rdi],rax
            0fae1f # stmxcsr DWORD [rdi]
            4883c708 # add rdi,0x8
            4881ff00f00500 # cmp rdi,0x5f000
            7205 # jb +0x5f
            bf00000500 # mov edi,0x50000
            48893c2500700000 # mov QWORD 0x7000,rdi
            b8f00fffff # mov eax,0xffff0ff0
            0f23f0 # mov dr6,rax
            83fb01 # cmp ebx,0x1
            7439 # je +0xad
            83fb10 # cmp ebx,0x10
            7441 # je +0xba
            83fb13 # cmp ebx,0x13
            7508 # jne +0x86
            0fae142508700000 # ldmxcsr DWORD 0x7008
            4881a424980000002af7ffff # and QWORD [rsp+0x98],0xfffffffffffff72a
            488b0424 # mov rax,QWORD [rsp]
            4889842488000000 # mov QWORD [rsp+0x88],rax
            488b442408 # mov rax,QWORD [rsp+0x8]
            48898424a0000000 # mov QWORD [rsp+0xa0],rax
            eb0f # jmp +0xbc
            818c249800000000000100 # or DWORD [rsp+0x98],0x10000
            eb02 # jmp +0xbc
            dbe2 # fnclex
            415f # pop r15
            415e # pop r14
            415d # pop r13
            415c # pop r12
            415b # pop r11
            415a # pop r10
            4159 # pop r9
            4158 # pop r8
            5f # pop rdi
            5e # pop rsi
            5d # pop rbp
            5b # pop rbx
            5a # pop rdx
            59 # pop rcx
            58 # pop rax
            4883c410 # add rsp,0x10
            48cf # iretq
            """;

    /** What is behind the frames, where accesses across the end of the last one go. */
    private static final byte[] BEHIND = new byte[PAGE];

    static {
        Arrays.fill(BEHIND, (byte) 0xcc);
    }

    final GuestMemory memory = GuestMemory.allocate(MEMORY);
    private final SoftwarePartition partition;
    private final SoftwareProcessor processor;
    final Cpu cpu;

    PagingMachine(TranslatorMode mode) {
        NoDevices host = new NoDevices() {
            @Override
            public void writePort(int index, int port, int size, int value) {
                cancel();
            }
        };
        partition = new SoftwarePartition(new PartitionConfiguration(
                        memory, 1, TestKernel.cpuid(), 1_000_000_000L, new ManualTimers(), RandomSource.seeded(1), host)
                .withTranslator(mode));
        processor = (SoftwareProcessor) partition.processor(0);
        cpu = processor.cpu();
        putKernel();
    }

    /** Where the entry for a page of a window is. */
    static int entryAddress(int space, int window, int page) {
        return TABLES[space][window] + ((WINDOWS[window] >>> 12) + page & 511) * 8;
    }

    /** Where the entry of the page directory for a window is. */
    static int directoryEntryAddress(int space, int window) {
        int directory = window == 3 ? HIGH_DIRECTORY : DIRECTORIES[space];
        return directory + (WINDOWS[window] >>> 21 & 511) * 8;
    }

    void cancel() {
        processor.cancel();
    }

    private void put(long address, byte[] bytes) {
        MemorySegment.copy(bytes, 0, memory.segment(), JAVA_BYTE, address, bytes.length);
        partition.memoryWritten(address, bytes.length);
    }

    private void putKernel() {
        // Accessed already: whether that comes to be through a global page depends on what the processor remembers of
        // it.
        long present = 0x27;
        for (int space = 0; space < 2; space++) {
            memory.putLong(ROOTS[space], POINTERS[space] | present);
            memory.putLong(ROOTS[space] + 511 * 8, HIGH_POINTERS | present);
            memory.putLong(POINTERS[space], DIRECTORIES[space] | present);
            memory.putLong(DIRECTORIES[space], LOW_TABLE | present);
            memory.putLong(DIRECTORIES[space] + 2 * 8, USER_TABLE | present);
        }
        memory.putLong(HIGH_POINTERS + 510 * 8, HIGH_DIRECTORY | present);
        for (int page = 1; page < 512; page++) {
            memory.putLong(LOW_TABLE + 8 * page, (long) page * PAGE | 3);
        }
        for (int at = 0; at < ROOM; at += PAGE) {
            memory.putLong(USER_TABLE + (CODE + at >> 9), CODE + at | 5);
        }
        int stack = USER_STACK & 0x1f_f000;
        memory.putLong(USER_TABLE + (stack >> 9), Long.MIN_VALUE | stack | 7);
        long[] descriptors = {
            0, 0, 0x00af_9b00_0000_ffffL, 0x00cf_9300_0000_ffffL, 0, 0x00cf_f300_0000_ffffL, 0x00af_fb00_0000_ffffL
        };
        for (int i = 0; i < descriptors.length; i++) {
            memory.putLong(GDT + 8 * i, descriptors[i]);
        }
        for (int region : REGIONS) {
            // What a large page shows besides frames.
            memory.segment().asSlice(region, 1 << 21).fill((byte) 0xcc);
        }
        memory.putLong(TASK + 36, EXCEPTION_STACK);
        LitmusProgram.Code code = new LitmusProgram.Code();
        int[] stubs = new int[32];
        int common = 32 * 9 + 16;
        for (int vector = 0; vector < 32; vector++) {
            stubs[vector] = code.size();
            code.hex((ERROR_CODES >> vector & 1) != 0 ? "9090" : "6a00");
            code.hex("6a%02xe9".formatted(vector)).int32(common - code.size() - 4);
        }
        int call = code.size();
        code.hex("4881e9").int32(USER).hex("ffe1"); // SYSCALL: sub rcx, USER; jmp rcx
        while (code.size() < common) {
            code.hex("90");
        }
        HANDLER.lines().forEach(line -> code.hex(line.substring(0, line.indexOf(' '))));
        put(HANDLERS, code.bytes());
        for (int vector = 0; vector < 32; vector++) {
            int at = HANDLERS + stubs[vector];
            memory.putLong(
                    IDT + 16 * vector, at & 0xffff | KERNEL_CODE << 16 | 0x8e01L << 32 | (long) (at >> 16) << 48);
            memory.putLong(IDT + 16 * vector + 8, 0);
        }
        cpu.star = 0x0020_0010_0000_0000L;
        cpu.lstar = HANDLERS + call;
        cpu.sfmask = 0x4_7700;
    }

    /** Instructions that were executed in translated code. */
    long translatedInstructions() {
        TranslatedCode code = processor.translated();
        return code == null ? 0 : code.executed;
    }

    /** Puts a program there. */
    void load(PagingPrograms.Program program) {
        put(CODE, program.code());
    }

    /** Runs the program from a state; gives the number of instructions, or -1 if it was ended from outside. */
    long run(PagingPrograms.Program program, long seed) {
        Random random = new Random(seed);
        for (int region = 0; region < 2; region++) {
            put(REGIONS[region], program.frames()[region]);
            put(REGIONS[region] + PAGES * PAGE, BEHIND);
        }
        mapWindows(random);
        memory.segment().asSlice(LOG, SYSTEM_END - LOG).fill((byte) 0);
        memory.segment().asSlice(EXCEPTION_STACK - PAGE, 5 * PAGE).fill((byte) 0);
        memory.putLong(VARIABLES, LOG);
        memory.putInt(VARIABLES + 8, 0x1f80);
        memory.putInt(COUNTER, 1 + random.nextInt(5));
        partition.memoryWritten(0, HANDLERS);
        processor.setState(entry(program, random));
        cpu.events.clear(Events.CANCEL);
        cpu.pendingTrap = 0;
        cpu.interruptShadow = false;
        Arrays.fill(cpu.dr, 0, 4, 0);
        cpu.dr[6] = 0xffff0ff0L;
        cpu.dr[7] = 0x400;
        cpu.breakpointsChanged();
        cpu.fpu.reset();
        cpu.fpu.mxcsr = 0x1f80;
        for (int i = 0; i < 32; i++) {
            cpu.fpu.xmm[i] = random.nextBoolean() ? random.nextLong() : Double.doubleToRawLongBits(random.nextInt(9));
        }
        long before = processor.instructions();
        VirtualProcessor.Exit exit = processor.run();
        boolean ended = exit == VirtualProcessor.Exit.CANCELLED && cpu.rip == CODE + program.end();
        return ended ? processor.instructions() - before : exit == VirtualProcessor.Exit.SHUTDOWN ? -2 : -1;
    }

    /** Random entries, so that most pages are mapped, in all ways. */
    private void mapWindows(Random random) {
        for (int space = 0; space < 2; space++) {
            for (int window = 0; window < 4; window++) {
                int table = TABLES[space][window];
                memory.segment().asSlice(table, PAGE).fill((byte) 0);
                for (int page = 0; page < PAGES; page++) {
                    memory.putLong(entryAddress(space, window, page), PagingPrograms.pageEntry(random, window));
                }
                memory.putLong(directoryEntryAddress(space, window), table | (window == 1 ? 0x27 : 7));
            }
        }
    }

    private static CpuState entry(PagingPrograms.Program program, Random random) {
        CpuState state = new CpuState();
        for (int i = 0; i < 13; i++) {
            state.gpr[i] = random.nextBoolean() ? random.nextLong() : random.nextInt(256);
        }
        state.rip = CODE;
        state.gpr[CpuState.RSP] = KERNEL_STACK;
        state.gpr[14] = KERNEL_STACK;
        state.rflags = 2 | random.nextInt() & 0x8d5;
        state.cr0 = program.cr0();
        state.cr3 = program.cr3();
        state.cr4 = program.cr4();
        state.efer = Cpu.EFER_SCE | Cpu.EFER_LME | Cpu.EFER_LMA | Cpu.EFER_NXE;
        CpuState.Segment data = new CpuState.Segment(KERNEL_DATA, 0, -1, 0xc093);
        for (int i = 0; i < 6; i++) {
            state.segments[i] = data;
        }
        state.segments[CpuState.CS] = new CpuState.Segment(KERNEL_CODE, 0, -1, 0xa09b);
        state.segments[CpuState.LDTR] = new CpuState.Segment(0, 0, 0xffff, 0x82);
        state.segments[CpuState.TR] = new CpuState.Segment(TASK_SELECTOR, TASK, 0x67, 0x8b);
        state.gdtBase = GDT;
        state.gdtLimit = 0x3f;
        state.idtBase = IDT;
        state.idtLimit = 0x1ff;
        return state;
    }

    /** What is different from another machine after the same program, or null. */
    @Nullable
    String difference(PagingMachine other) {
        int[] areas = {0, SYSTEM_END, REGIONS[0], REGIONS[0] + REGION, REGIONS[1], REGIONS[1] + REGION};
        int logged = (int) memory.getLong(VARIABLES) - LOG;
        int otherLogged = (int) other.memory.getLong(VARIABLES) - LOG;
        long at = mismatch(other, LOG, SYSTEM_END);
        if (at >= 0) {
            int record = (int) (at - LOG) / RECORD;
            return "exception %d of %d (%d): %s instead of %s"
                    .formatted(record, otherLogged / RECORD, logged / RECORD, other.record(record), record(record));
        }
        for (int i = 0; i < areas.length; i += 2) {
            at = mismatch(other, areas[i], areas[i + 1]);
            if (at >= 0) {
                return "memory at %x is %x instead of %x"
                        .formatted(at & ~7, other.memory.getLong(at & ~7), memory.getLong(at & ~7));
            }
        }
        Cpu a = cpu;
        Cpu b = other.cpu;
        for (int i = 0; i < 16; i++) {
            if (a.r[i] != b.r[i]) {
                return "register %d is %x instead of %x".formatted(i, b.r[i], a.r[i]);
            }
        }
        long[] some = {a.flags(), a.cr0, a.cr2, a.cr3, a.cr4, a.dr[6], a.dr[7], a.fpu.mxcsr, a.cpl, a.fpu.statusWord()};
        long[] others = {b.flags(), b.cr0, b.cr2, b.cr3, b.cr4, b.dr[6], b.dr[7], b.fpu.mxcsr, b.cpl, b.fpu.statusWord()
        };
        if (!Arrays.equals(some, others)) {
            return "flags, CR0, CR2, CR3, CR4, DR6, DR7, MXCSR, level, x87's status %s instead of %s"
                    .formatted(Arrays.toString(others), Arrays.toString(some));
        }
        if (!Arrays.equals(a.fpu.xmm, b.fpu.xmm)) {
            return "XMM registers %s instead of %s".formatted(Arrays.toString(b.fpu.xmm), Arrays.toString(a.fpu.xmm));
        }
        boolean same = a.fpu.control == b.fpu.control
                && a.fpu.empty == b.fpu.empty
                && Arrays.equals(a.fpu.significand, b.fpu.significand)
                && Arrays.equals(a.fpu.signExponent, b.fpu.signExponent);
        return same ? null : "x87 registers are different";
    }

    /** Bytes that a handler writes down: registers, vector, error code, what it interrupted, CR2, DR6, MXCSR. */
    private static final int RECORD = 25 * 8;

    private long mismatch(PagingMachine other, long from, long to) {
        long at = MemorySegment.mismatch(memory.segment(), from, to, other.memory.segment(), from, to);
        return at < 0 ? at : from + at;
    }

    private String record(int number) {
        StringBuilder text = new StringBuilder("[");
        for (int i = 0; i < RECORD; i += 8) {
            text.append(i == 0 ? "" : " ").append(Long.toHexString(memory.getLong(LOG + number * RECORD + i)));
        }
        return text.append(']').toString();
    }

    /** How many exceptions were written down. */
    int exceptions() {
        return (int) (memory.getLong(VARIABLES) - LOG) / RECORD;
    }

    @Override
    public void close() {
        partition.close();
        memory.close();
    }
}
