package org.torte.hypervisor.software;

import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.torte.base.Clock;
import org.torte.base.GuestMemory;
import org.torte.hypervisor.TranslatorMode;
import org.torte.hypervisor.oracle.AddressSpace;
import org.torte.hypervisor.software.translator.Site;

/**
 * RDTSC and RDTSCP in translated code: whether they read what the processor's counter is, by one processor and by two, in
 * turn with RDMSR, which is interpreted; notice when it is written, when the clock stands and goes on, and when they are
 * forbidden; and whether code executes them by itself.
 */
final class TimeChecks {
    private static final long FRAME = InterpreterUnderTest.CODE_FRAME, CODE = AddressSpace.CODE;
    private static final int COUNTER = 0x10, ADJUST = 0x3b, ROUNDS = 2000;

    /** RAX becomes what is in EDX:EAX. */
    private static final String COMBINE = "48c1e2204809d0";

    private static final String RDTSC = "0f31" + COMBINE, RDTSCP = "0f01f9" + COMBINE, RDMSR = "0f32" + COMBINE;

    private final long frequency;
    private final InterpreterUnderTest machine;
    private final Cpu cpu;
    private final List<String> wrong = new ArrayList<>();

    private TimeChecks(long frequency) {
        this.frequency = frequency;
        machine = new InterpreterUnderTest(true, TranslatedCode.BUDGET, frequency);
        cpu = machine.cpu;
    }

    /** Everything that is not as it should be. */
    static List<String> run() {
        List<String> wrong = new ArrayList<>();
        for (long frequency : new long[] {1_000_000, 999_999_937, 2_894_561_000L, 100_000_000_000L}) {
            TimeChecks checks = new TimeChecks(frequency);
            try (checks.machine) {
                checks.machine.enterLongUserMode();
                for (long offset : new long[] {0, -1L << 40, Long.MAX_VALUE, 0xffff_ff00L}) {
                    checks.cpu.tsc.writeAdjust(offset);
                    checks.values("0f31cc", 3);
                    checks.values("0f01f9cc", 3);
                    checks.values("0f31cc", 0);
                }
                checks.cpu.tsc.writeAdjust(0);
                checks.turns();
                checks.written();
                checks.pauses();
                checks.forbidden();
                checks.registers();
                checks.exits();
            }
            wrong.addAll(checks.wrong);
        }
        together(wrong);
        return wrong;
    }

    private void put(String code) {
        machine.put(FRAME, code);
    }

    /** Executes until the next exception. */
    private GuestFault execute(int level) {
        cpu.setCpl(level);
        cpu.rip = CODE;
        cpu.r[Cpu.RSP] = AddressSpace.DATA + 0x800;
        return machine.untilException();
    }

    private void expect(String what, long found, long expected) {
        if (found != expected) {
            wrong.add("%s at %d Hz: %x instead of %x".formatted(what, frequency, found, expected));
        }
    }

    private void expectBetween(String what, long least, long found, long most) {
        if (found - least < 0 || most - found < 0) {
            wrong.add("%s at %d Hz: %x, not between %x and %x".formatted(what, frequency, found, least, most));
        }
    }

    private long pair() {
        expect("RAX", cpu.r[Cpu.RAX] >>> 32, 0);
        expect("RDX", cpu.r[Cpu.RDX] >>> 32, 0);
        return cpu.r[Cpu.RDX] << 32 | cpu.r[Cpu.RAX];
    }

    private void values(String code, int level) {
        put(code);
        for (int i = 0; i < 100; i++) {
            cpu.r[Cpu.RAX] = cpu.r[Cpu.RDX] = -1;
            long before = cpu.tsc.read();
            execute(level);
            expectBetween(code, before, pair(), cpu.tsc.read());
        }
    }

    /** One after the other, code's way and the interpreter's, many times. */
    private void turns() {
        cpu.tsc.writeAdjust(0);
        String check = "4839f0" + "7302" + "0f0b" + "4889c6"; // cmp rax, rsi; jae over; ud2; mov rsi, rax
        String loop = RDTSC + check + "b910000000" + RDMSR + check + RDTSCP + check + "ffcf"; // dec edi
        int back = -(loop.length() / 2 + 2);
        put(loop + "75" + "%02x".formatted(back & 0xff) + "cc");
        cpu.r[Cpu.RSI] = cpu.tsc.read();
        cpu.r[Cpu.RDI] = ROUNDS;
        GuestFault fault = execute(0);
        expect("fault of the loop", fault.vector, GuestFault.GP);
        expect("rounds left", cpu.r[Cpu.RDI], 0);
        expectBetween("last in the loop", 0, cpu.r[Cpu.RSI], cpu.tsc.read());
    }

    private void written() {
        for (int register : new int[] {COUNTER, ADJUST}) {
            for (long value : new long[] {5, 1L << 62, -1L << 50, 0}) {
                LitmusProgram.Code code = new LitmusProgram.Code()
                        .hex(RDTSC + "4989c0") // mov r8, rax
                        .hex("b9")
                        .int32(register)
                        .hex("b8")
                        .int32((int) value)
                        .hex("ba")
                        .int32((int) (value >>> 32))
                        .hex("0f30" + RDTSC + "cc");
                put(HexFormat.of().formatHex(code.bytes()));
                long adjust = cpu.tsc.adjust();
                long start = System.nanoTime();
                long before = cpu.tsc.read();
                execute(0);
                long most = cpu.tsc.at(machine.clock.nanos());
                long passed = passed(start);
                expectBetween("before a write", before, cpu.r[8], before + passed);
                long least = register == COUNTER ? value : before + value - adjust;
                expectBetween("behind a write", least, cpu.r[Cpu.RAX], most);
                expectBetween("long behind a write", least, cpu.r[Cpu.RAX], least + passed);
                values("0f31cc", 3);
            }
        }
    }

    /** Ticks since then, and those that are lost in rounding. */
    private long passed(long nanos) {
        return (long) ((System.nanoTime() - nanos + 1) * (frequency / 1e9) * 1.001) + 2;
    }

    private void pauses() {
        put("0f31cc");
        machine.clock.pause();
        long standing = cpu.tsc.read();
        for (int i = 0; i < 3; i++) {
            execute(3);
            expect("while the clock stands", pair(), standing);
        }
        LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(20));
        execute(3);
        expect("while the clock still stands", pair(), standing);
        long start = System.nanoTime();
        machine.clock.resume();
        execute(3);
        expectBetween("when the clock goes on", standing, pair(), standing + passed(start));
    }

    private void forbidden() {
        put("900f31cc");
        for (int i = 0; i < 3; i++) {
            cpu.cr4 |= Cpu.CR4_TSD;
            cpu.r[Cpu.RAX] = 7;
            GuestFault fault = execute(3);
            expect("fault of a user", fault.vector, GuestFault.GP);
            expect("its error code", fault.errorCode, 0);
            expect("where", cpu.rip, CODE + 1);
            expect("RAX then", cpu.r[Cpu.RAX], 7);
            long before = cpu.tsc.read();
            execute(0);
            expectBetween("supervisor's while users may not", before, pair(), cpu.tsc.read());
            cpu.cr4 &= ~(long) Cpu.CR4_TSD;
            execute(3);
            expectBetween("allowed again", before, pair(), cpu.tsc.read());
        }
    }

    private void registers() {
        cpu.tscAux = 0x1_2345_6789L;
        put("9d0f01f99ccc"); // popf; rdtscp; pushf
        for (int level : new int[] {3, 0, 3}) {
            for (int flags = 0; flags < 0x1000; flags += 0x111) {
                int arithmetic = flags & 0x8d5 | 2;
                for (int i = 0; i < 16; i++) {
                    cpu.r[i] = 0x0101_0101_0101_0101L * (i + 1);
                }
                for (int i = 0; i < 32; i++) {
                    cpu.fpu.xmm[i] = 0x1010_1010_1010_1010L * (i + 1);
                }
                machine.memory.putLong(InterpreterUnderTest.DATA_FRAME + 0x800, arithmetic);
                execute(level);
                expect("RCX of RDTSCP", cpu.r[Cpu.RCX], 0x2345_6789L);
                for (int i = 0; i < 16; i++) {
                    if (i > Cpu.RDX && i != Cpu.RSP) {
                        expect("register " + i, cpu.r[i], 0x0101_0101_0101_0101L * (i + 1));
                    }
                }
                for (int i = 0; i < 32; i++) {
                    expect("half of an XMM register", cpu.fpu.xmm[i], 0x1010_1010_1010_1010L * (i + 1));
                }
                expect("flags", cpu.alu.flags() | 2, arithmetic);
                expect("RSP", cpu.r[Cpu.RSP], AddressSpace.DATA + 0x800);
                long pushed = machine.memory.getLong(InterpreterUnderTest.DATA_FRAME + 0x800);
                expect("flags pushed", pushed & 0x8d7, arithmetic);
            }
        }
        cpu.tscAux = 0;
    }

    private void exits() {
        TranslatedCode translated = machine.translated;
        if (translated == null) {
            wrong.add("nothing is translated");
            return;
        }
        put("0f31" + "ffcf" + "75fa" + "cc"); // dec edi; jne back
        long before;
        do {
            // With an event pending it is interpreted; on a slow host there is one, which ends cases that do not end.
            cpu.events.clear(Events.CANCEL);
            before = translated.exits[Site.INTERPRET];
            cpu.r[Cpu.RDI] = ROUNDS;
            execute(3);
        } while (cpu.events.isPending(Events.CANCEL));
        if (translated.exits[Site.INTERPRET] - before > 8) {
            wrong.add("code was left " + (translated.exits[Site.INTERPRET] - before) + " times");
        }
    }

    /** Two processors tell each other what they have read: none may read less than what it has been told. */
    private static void together(List<String> wrong) {
        List<byte[]> programs = new ArrayList<>();
        for (int i = 0; i < 2; i++) {
            LitmusProgram.Code code = new LitmusProgram.Code();
            code.hex("4989c84531c9"); // mov r8, rcx; xor r9d, r9d
            int loop = code.size();
            for (int way = 0; way < 2; way++) {
                code.hex("4c8b93").int32(64 * (1 - i)); // mov r10, [rbx + other's]
                code.hex("0faee8"); // lfence
                code.hex(way == 0 ? RDTSC : "b910000000" + RDMSR);
                code.hex("4c39d0" + "7303" + "49ffc1"); // cmp rax, r10; jae over; inc r9
                code.hex("488983").int32(64 * i); // mov [rbx + own], rax
            }
            code.hex("49ffc8"); // dec r8
            code.hex("0f85").int32(loop - code.size() - 4);
            code.hex("4c898f").int32(8 * i); // mov [rdi + ...], r9
            code.hex("e6f4f4ebfd"); // out 0xf4, al; hlt; jmp back
            programs.add(code.bytes());
        }
        try (GuestMemory memory = GuestMemory.allocate(LitmusMachine.MEMORY)) {
            LitmusMachine.run(memory, programs, 50_000, TranslatorMode.ONLY, Clock.system());
            for (int i = 0; i < 2; i++) {
                long backwards = memory.getLong(LitmusMachine.RESULTS + 8L * i);
                if (backwards != 0) {
                    wrong.add("processor %d read %d times less than the other had read".formatted(i, backwards));
                }
                if (memory.getLong(LitmusMachine.AREAS + 64L * i) == 0) {
                    wrong.add("processor " + i + " has read nothing");
                }
            }
        }
    }
}
