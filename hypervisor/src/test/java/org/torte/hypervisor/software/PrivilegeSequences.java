package org.torte.hypervisor.software;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.Random;
import org.jspecify.annotations.Nullable;
import org.torte.hypervisor.oracle.AddressSpace;

/**
 * Runs random programs of user code with system calls, and of the kernel that answers them, translated and interpreted:
 * SYSCALL, SYSRET and IRET with all kinds of flags, selectors and descriptors, SWAPGS and the bases of FS and GS, STAC and CLAC around accesses under
 * SMAP or without it, STI and CLI, registers that change what SYSCALL does. In half of the programs an interrupt waits from the start; the
 * place where it could be taken must be the same. What is compared is everything at the fault that ends a program.
 */
final class PrivilegeSequences implements AutoCloseable {
    private static final int KERNEL = 0x2800_0000, KERNEL_DATA = 0x2800_4000;
    private static final long KERNEL_FRAME = 0x3_0000, KERNEL_DATA_FRAME = 0x3_4000, COUNTER_FRAME = 0x2_0000;
    private static final int PAGE = 0x1000;
    private static final int STAR = 0xc000_0081, SFMASK = 0xc000_0084, FS_BASE = 0xc000_0100;
    private static final int ARITHMETIC = 0x8d5;

    /** Flat segments of the kernel, and what their descriptors are. */
    private static final int KERNEL_CODE = 0x10, KERNEL_STACK = 0x18;

    private static final long KERNEL_CODE_DESCRIPTOR = 0x00af_9b00_0000_ffffL;
    private static final long KERNEL_STACK_DESCRIPTOR = 0x00cf_9300_0000_ffffL;

    private static final int DESCRIPTORS_LIMIT = 0x7f;

    /** Where a handler keeps what SYSCALL gave it: r12, r13 and r15 are not among them. */
    private static final int[] REGISTERS = {0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 14};

    private final InterpreterUnderTest interpreted;
    private final InterpreterUnderTest translated;
    private final int[] deliveries = new int[2];

    /** Programs that were run, those that did not end in time, and system calls as far as they were interpreted. */
    long programs;

    long endless;

    /** With so many instructions at most before translated code looks for events. */
    PrivilegeSequences(int budget) {
        interpreted = new InterpreterUnderTest(false, budget);
        translated = new InterpreterUnderTest(true, budget);
        for (InterpreterUnderTest machine : new InterpreterUnderTest[] {interpreted, translated}) {
            long noExecute = Long.MIN_VALUE;
            machine.map(1, SequenceGenerator.COUNTER, COUNTER_FRAME, 1, noExecute | 0x67);
            machine.map(3, KERNEL, KERNEL_FRAME, 1, 0x63);
            machine.map(3, KERNEL_DATA, KERNEL_DATA_FRAME, 2, noExecute | 0x63);
            machine.cpu.cr4 |= Cpu.CR4_SMEP;
        }
    }

    /** Instructions that were executed in translated code. */
    long translatedInstructions() {
        TranslatedCode code = translated.translated;
        return code == null ? 0 : code.executed;
    }

    /** Runs the program of a seed; says what differs, or null. */
    @Nullable
    String run(long seed) {
        programs++;
        Random random = new Random(seed);
        byte[] user = user(random);
        byte[] kernel = kernel(random);
        for (InterpreterUnderTest machine : new InterpreterUnderTest[] {interpreted, translated}) {
            put(machine, user, InterpreterUnderTest.CODE_FRAME);
            put(machine, kernel, KERNEL_FRAME);
        }
        String difference = null;
        for (int i = 0; i < 3 && difference == null; i++) {
            // From the second time on code is left only where it has to be.
            difference = once(user, random.nextLong());
        }
        return difference == null
                ? null
                : "seed %d: %s; user %s; kernel %s"
                        .formatted(
                                seed,
                                difference,
                                HexFormat.of().formatHex(user),
                                HexFormat.of().formatHex(kernel));
    }

    private @Nullable String once(byte[] user, long seed) {
        prepare(interpreted, new Random(seed));
        prepare(translated, new Random(seed));
        GuestFault expected = go(interpreted, 0);
        GuestFault found = go(translated, 1);
        if (expected == null || found == null) {
            endless++;
            return null;
        }
        boolean ended = expected.vector == GuestFault.UD && interpreted.cpu.rip == AddressSpace.CODE + user.length - 2;
        return difference(expected, found, ended);
    }

    // ---- programs

    /** User code that is executed a few times over, and ends with UD2. */
    private static byte[] user(Random random) {
        LitmusProgram.Code code = new LitmusProgram.Code();
        int start = code.size();
        for (int i = 2 + random.nextInt(8); i > 0; i--) {
            switch (random.nextInt(12)) {
                case 0, 1, 2, 3 -> code.hex("0f05"); // syscall
                case 4 -> bases(code, random);
                case 5 -> selector(code, random);
                case 6 -> memory(code, random, "");
                case 7 -> {
                    // Not even once in most programs: all of them fault.
                    String[] forbidden = {"0f01f8", "fb", "fa", "0f01cb", "480f07", "0f30"};
                    if (random.nextInt(8) == 0) {
                        code.hex(forbidden[random.nextInt(forbidden.length)]);
                    } else if (random.nextInt(4) == 0) {
                        interruptReturn(code, random, "6a33", "6a2b"); // not from here by code, but possible
                    }
                }
                default -> plain(code, random);
            }
        }
        code.hex("ff0c25").int32(SequenceGenerator.COUNTER); // dec dword [counter]
        code.hex("0f8f").int32(start - code.size() - 4); // jg start
        code.hex("0f0b");
        return code.bytes();
    }

    /** A kernel's handler of SYSCALL. */
    private static byte[] kernel(Random random) {
        LitmusProgram.Code code = new LitmusProgram.Code();
        boolean swaps = random.nextInt(3) != 0;
        code.hex(swaps ? "0f01f8" : "90");
        code.hex("4989e548c7c4").int32(KERNEL_DATA + PAGE / 2); // mov r13, rsp; mov rsp, ...
        code.hex("4989cc4d89df"); // mov r12, rcx; mov r15, r11
        for (int i = random.nextInt(10); i > 0; i--) {
            switch (random.nextInt(18)) {
                case 0 -> code.hex("fb"); // sti
                case 1 -> code.hex("fa"); // cli
                case 2 -> code.hex("fb90fa"); // sti; nop; cli
                case 3, 4 -> {
                    code.hex("0f01cb"); // stac
                    memory(code, random, "");
                    code.hex("0f01ca"); // clac
                }
                case 5 -> code.hex(random.nextInt(4) == 0 ? "0f01cb" : "0f01ca");
                case 6 -> bases(code, random);
                case 7 -> selector(code, random);
                case 8 -> modelRegister(code, random);
                case 9 -> {
                    if (swaps) {
                        memory(code, random, "65"); // gs:
                    }
                }
                case 10 -> {
                    if (random.nextInt(3) == 0) {
                        code.hex("68").int32(flags(random)).hex("9d"); // push ...; popf
                    }
                }
                case 11, 12 -> {
                    if (random.nextInt(8) == 0) {
                        // The frame is across pages perhaps.
                        code.hex("48c7c4").int32(KERNEL_DATA + PAGE + 8 + random.nextInt(60)); // mov rsp, ...
                    }
                    interruptReturn(code, random, "6a10", random.nextBoolean() ? "6a18" : "6a00");
                    code.hex("48c7c4").int32(KERNEL_DATA + PAGE / 2);
                }
                case 13 -> {
                    if (random.nextInt(4) == 0) {
                        changeDescriptor(code, random);
                    }
                }
                case 14 -> {
                    if (random.nextInt(4) == 0) {
                        int selector = new int[] {0, KERNEL_STACK, AddressSpace.FLAT_DATA}[random.nextInt(3)];
                        code.hex("b8").int32(selector).hex(random.nextBoolean() ? "8ed8" : "8ec0"); // to DS or ES
                    }
                }
                default -> plain(code, random);
            }
        }
        if (swaps) {
            code.hex("0f01f8");
        }
        if (random.nextInt(4) == 0) {
            code.hex("41bf").int32(flags(random)); // mov r15d, ...
        }
        if (random.nextInt(40) == 0) {
            code.hex("49bc").int32(0).int32(random.nextInt()); // mov r12, ...
        }
        if (random.nextBoolean()) {
            code.hex("6a2b415541576a33415448cf"); // push 2b, r13, r15, 33, r12; iretq
        } else {
            code.hex("4c89e14d89fb4c89ec480f07"); // mov rcx, r12; mov r11, r15; mov rsp, r13; sysretq
        }
        code.hex("0f0b");
        return code.bytes();
    }

    /** IRET to what follows it, mostly; with these instructions that push the selectors of CS and SS, mostly. */
    private static void interruptReturn(LitmusProgram.Code code, Random random, String codeSelector, String stack) {
        String[] selectors = {"6a00", "6a03", "6a10", "6a13", "6a14", "6a18", "6a1b", "6a23", "6a2b", "6a33", "6a7b"};
        boolean usual = random.nextInt(4) != 0;
        code.hex(usual ? stack : selectors[random.nextInt(selectors.length)]);
        code.hex(usual || random.nextBoolean() ? "54" : hex(0x50 | random.nextInt(8))); // push rsp or another
        switch (random.nextInt(3)) {
            case 0 -> code.hex("9c");
            case 1 -> code.hex("68").int32(random.nextInt() & (ARITHMETIC | 0x25_4600) | 2);
            default -> code.hex("68").int32(flags(random));
        }
        code.hex(usual || random.nextBoolean() ? codeSelector : selectors[random.nextInt(selectors.length)]);
        boolean behind = usual || random.nextBoolean();
        code.hex("488d05").int32(3).hex(behind ? "50" : hex(0x50 | random.nextInt(8))); // lea rax, [rip + 3]; push
        code.hex("48cf");
    }

    /** Another type, level or limit of a segment, which then is loaded perhaps. */
    private static void changeDescriptor(LitmusProgram.Code code, Random random) {
        int[] selectors = {KERNEL_CODE, KERNEL_STACK, AddressSpace.FLAT_DATA, AddressSpace.FLAT_CODE_64};
        int[][] bytes = {{0x9a, 0x9b, 0x93, 0xf3, 0xfb, 0xfa, 0x92, 0x9f, 0x1b, 0x8b}, {0xaf, 0xcf, 0xef, 0x2f, 0xa0}};
        int at = random.nextInt(8) == 0 ? random.nextInt(8) : 5 + random.nextInt(2);
        int[] values = bytes[at & 1 ^ 1];
        int value = random.nextInt(8) == 0 ? random.nextInt(256) : values[random.nextInt(values.length)];
        int selector = selectors[random.nextInt(selectors.length)] & ~7;
        code.hex("c60425")
                .int32((int) InterpreterUnderTest.SYSTEM + selector + at)
                .hex(hex(value));
    }

    /** What RFLAGS may become: seldom with more than arithmetic flags, IF, DF and ID. */
    private static int flags(Random random) {
        int flags = random.nextInt() & (ARITHMETIC | 0x20_0600) | 2;
        return switch (random.nextInt(8)) {
            case 0 -> flags | 1 << 8 + random.nextInt(14);
            case 1 -> random.nextInt() & 0x3f_7fd7;
            default -> flags;
        };
    }

    private static int register(Random random) {
        return REGISTERS[random.nextInt(REGISTERS.length)];
    }

    /** A constant, an operation that makes flags, one that looks at them, or flags pushed and popped. */
    private static void plain(LitmusProgram.Code code, Random random) {
        int register = register(random);
        int other = register(random);
        String rex = hex(0x48 | other >> 3 << 2 | register >> 3);
        String modrm = hex(0xc0 | (other & 7) << 3 | register & 7);
        switch (random.nextInt(5)) {
            case 0 ->
                code.hex(hex(0x48 | register >> 3) + "c7" + hex(0xc0 | register & 7))
                        .int32(random.nextInt());
            case 1 -> code.hex(rex + new String[] {"01", "29", "39", "11"}[random.nextInt(4)] + modrm);
            case 2 ->
                code.hex(hex(0x40 | register >> 3) + "0f" + hex(0x90 | random.nextInt(16)) + hex(0xc0 | register & 7));
            case 3 -> code.hex("9c" + hex(0x40 | register >> 3) + hex(0x58 | register & 7)); // pushf; pop
            default -> code.hex(rex + "89" + modrm);
        }
    }

    /** RDFSBASE, RDGSBASE, WRFSBASE or WRGSBASE, mostly with something that can be written. */
    private static void bases(LitmusProgram.Code code, Random random) {
        int register = register(random);
        if (random.nextInt(3) != 0) {
            code.hex(hex(0x48 | register >> 3) + "c7" + hex(0xc0 | register & 7))
                    .int32(random.nextInt(0x1000) + KERNEL_DATA);
        }
        int rex = (random.nextBoolean() ? 0x48 : 0x40) | register >> 3;
        code.hex("f3" + hex(rex) + "0fae" + hex(0xc0 | random.nextInt(4) << 3 | register & 7));
    }

    private static void selector(LitmusProgram.Code code, Random random) {
        int register = register(random);
        code.hex(hex(0x48 | register >> 3) + "8c" + hex(0xc0 | random.nextInt(6) << 3 | register & 7));
    }

    /** A load or a store of data. */
    private static void memory(LitmusProgram.Code code, Random random, String segment) {
        int register = register(random);
        int at = segment.isEmpty() ? (int) AddressSpace.DATA + random.nextInt(2 * PAGE - 8) : random.nextInt(0x400);
        code.hex(segment + hex(0x48 | register >> 3 << 2) + (random.nextBoolean() ? "8b" : "89"))
                .hex(hex(4 | (register & 7) << 3) + "25")
                .int32(at);
    }

    /** RDMSR, or WRMSR with something that is good for this register. */
    private static void modelRegister(LitmusProgram.Code code, Random random) {
        int number;
        int low = random.nextInt();
        int high = 0;
        switch (random.nextInt(4)) {
            case 0 -> {
                number = STAR;
                high = random.nextInt(4) == 0 ? random.nextInt() & 0xfff8_fff8 : 0x0023_0010;
            }
            case 1 -> {
                number = SFMASK;
                low = random.nextInt(4) == 0 ? low : 0x4_7700;
            }
            default -> {
                number = FS_BASE + random.nextInt(3); // of FS, of GS, and what SWAPGS brings
                low = KERNEL_DATA + random.nextInt(0x800);
            }
        }
        code.hex("b9").int32(number);
        if (random.nextInt(3) == 0) {
            code.hex("0f32");
        } else {
            code.hex("b8").int32(low).hex("ba").int32(high).hex("0f30");
        }
    }

    private static String hex(int value) {
        return "%02x".formatted(value & 0xff);
    }

    // ---- running them

    private static void prepare(InterpreterUnderTest machine, Random random) {
        MemorySegment ram = machine.memory.segment();
        ram.asSlice(InterpreterUnderTest.DATA_FRAME, (long) AddressSpace.DATA_PAGES * PAGE)
                .fill((byte) random.nextInt());
        ram.asSlice(KERNEL_DATA_FRAME, 2 * PAGE).fill((byte) random.nextInt());
        machine.putDescriptors();
        machine.descriptor(KERNEL_CODE, KERNEL_CODE_DESCRIPTOR);
        machine.descriptor(KERNEL_STACK, KERNEL_STACK_DESCRIPTOR);
        machine.memory.putInt(COUNTER_FRAME, 1 + random.nextInt(6));
        Cpu cpu = machine.cpu;
        cpu.interruptShadow = false;
        cpu.pendingTrap = 0;
        cpu.events.clear(Events.CANCEL | Events.INTERRUPT);
        machine.interpreter.instructions = 0;
        cpu.cr0 = random.nextBoolean() ? cpu.cr0 | Cpu.CR0_AM : cpu.cr0 & ~Cpu.CR0_AM;
        machine.enterLongUserMode();
        long cr4 = random.nextInt(8) == 0 ? cpu.cr4 & ~Cpu.CR4_SMAP : cpu.cr4 | Cpu.CR4_SMAP;
        if (cpu.cr4 != cr4) {
            cpu.cr4 = cr4;
            cpu.mmu.flush();
        }
        cpu.gdtLimit = random.nextInt(16) == 0 ? random.nextInt(DESCRIPTORS_LIMIT) : DESCRIPTORS_LIMIT;
        cpu.setNmiBlocked(random.nextInt(8) == 0);
        cpu.cr2 = 0; // programs that were given up may have left different ones
        cpu.star = 0x0023_0010_0000_0000L;
        cpu.lstar = KERNEL;
        cpu.sfmask = random.nextInt(4) == 0 ? random.nextInt() & 0xffff_ffffL : 0x4_7700;
        cpu.kernelGsBase = KERNEL_DATA;
        for (int i = 0; i < 16; i++) {
            cpu.r[i] = random.nextBoolean() ? random.nextLong() : random.nextInt(256);
        }
        cpu.r[Cpu.RSP] = AddressSpace.DATA + 0x800;
        boolean on = random.nextBoolean();
        cpu.setFlags(random.nextInt() & ARITHMETIC | 2 | (on ? Cpu.IF : 0));
        if (!on && random.nextBoolean()) {
            cpu.events.raise(Events.INTERRUPT);
        }
        cpu.rip = AddressSpace.CODE;
    }

    private static void put(InterpreterUnderTest machine, byte[] code, long frame) {
        MemorySegment page = machine.memory.segment().asSlice(frame, PAGE);
        page.fill((byte) 0xcc);
        MemorySegment.copy(code, 0, page, JAVA_BYTE, 0, code.length);
        machine.physical.written(frame, PAGE);
    }

    /** Until a fault, or a single step that is due after SYSRET or IRET; null if that does not come in time. */
    private @Nullable GuestFault go(InterpreterUnderTest machine, int number) {
        Cpu cpu = machine.cpu;
        deliveries[number] = 0;
        while (!cpu.events.isPending(Events.CANCEL)) {
            cpu.events.attention = false;
            if ((cpu.systemFlags & Cpu.TF) != 0) {
                return cpu.fault(GuestFault.DB, 0);
            }
            if ((cpu.events.takeable() & Events.INTERRUPT) != 0) {
                deliveries[number] = (int) cpu.rip;
                cpu.events.clear(Events.INTERRUPT);
            }
            boolean shadow = cpu.interruptShadow;
            machine.interpreter.execute(shadow);
            GuestFault fault = machine.interpreter.fault;
            if (shadow || fault != null) {
                cpu.setInterruptShadow(false);
            }
            if (fault != null) {
                return fault;
            }
        }
        return null;
    }

    private @Nullable String difference(GuestFault expected, GuestFault found, boolean ended) {
        Cpu a = interpreted.cpu;
        Cpu b = translated.cpu;
        if (expected.vector != found.vector || expected.errorCode != found.errorCode || a.rip != b.rip) {
            return "fault %d (%x) at %x instead of %d (%x) at %x"
                    .formatted(found.vector, found.errorCode, b.rip, expected.vector, expected.errorCode, a.rip);
        }
        if (deliveries[0] != deliveries[1]) {
            return "interrupt at %x instead of %x".formatted(deliveries[1], deliveries[0]);
        }
        for (int i = 0; i < a.r.length; i++) {
            boolean temporary = i > Cpu.ZERO && i < Cpu.START;
            if (a.r[i] != b.r[i] && !temporary && i != Cpu.START) {
                return "register %d is %x instead of %x at %x".formatted(i, b.r[i], a.r[i], a.rip);
            }
        }
        // At other faults arithmetic flags may be those that the next instructions would have replaced.
        if (ended && a.alu.flags() != b.alu.flags() || a.systemFlags != b.systemFlags) {
            return "flags %x instead of %x at %x".formatted(b.flags(), a.flags(), a.rip);
        }
        long[] some = {a.cpl, a.mode, a.kernelGsBase, a.star, a.sfmask, a.pendingTrap, a.cr2, a.nmiBlocked ? 1 : 0};
        long[] others = {b.cpl, b.mode, b.kernelGsBase, b.star, b.sfmask, b.pendingTrap, b.cr2, b.nmiBlocked ? 1 : 0};
        if (!Arrays.equals(some, others)) {
            return "level, mode, base, star, mask, trap, cr2, nmi %s instead of %s at %x"
                    .formatted(Arrays.toString(others), Arrays.toString(some), a.rip);
        }
        if (!Arrays.equals(a.selector, b.selector)
                || !Arrays.equals(a.limit, b.limit)
                || !Arrays.equals(a.attributes, b.attributes)) {
            return "segments %s %s instead of %s %s at %x"
                    .formatted(
                            Arrays.toString(b.selector),
                            Arrays.toString(b.attributes),
                            Arrays.toString(a.selector),
                            Arrays.toString(a.attributes),
                            a.rip);
        }
        if (interpreted.interpreter.instructions != translated.interpreter.instructions) {
            return "%d instructions instead of %d at %x"
                    .formatted(translated.interpreter.instructions, interpreted.interpreter.instructions, a.rip);
        }
        long at = interpreted.memory.segment().mismatch(translated.memory.segment());
        return at < 0 ? null : "memory differs at physical address %x, fault at %x".formatted(at, a.rip);
    }

    @Override
    public void close() {
        interpreted.close();
        translated.close();
    }
}
