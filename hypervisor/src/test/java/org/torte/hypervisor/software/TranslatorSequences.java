package org.torte.hypervisor.software;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.Random;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;
import org.torte.hypervisor.oracle.AddressSpace;
import org.torte.hypervisor.software.SequenceGenerator.Sequence;
import org.torte.hypervisor.x86.Decoder;
import org.torte.hypervisor.x86.Disassembler;
import org.torte.hypervisor.x86.Form;
import org.torte.hypervisor.x86.Instruction;
import org.torte.hypervisor.x86.Operation;

/**
 * Runs random programs translated and interpreted, and compares registers, vectors and memory at every fault and at the
 * end. A fault does not end a program: it goes on elsewhere. Where the two differ the program is made small by putting
 * NOPs in the place of instructions.
 *
 * <p>After a fault arithmetic flags are not compared: translated code does not keep those that the next instructions
 * replace.
 */
final class TranslatorSequences implements AutoCloseable {
    private static final long FIRST = InterpreterUnderTest.CODE_FRAME, END = InterpreterUnderTest.DATA_FRAME + 0x4000;
    private static final int COUNTER_FRAME = 0x2_0000;
    private static final int FLAGS = Form.CF | Form.PF | Form.ZF | Form.SF | Form.OF | Form.AF;

    /** How far from the data they appear once more, which falls on the same entries of the soft TLB. */
    private static final long AGAIN = 16 << 20;

    private static final Duration PATIENCE = Duration.ofSeconds(1);

    private final InterpreterUnderTest interpreted = new InterpreterUnderTest();
    private final InterpreterUnderTest translated = new InterpreterUnderTest(true);

    /** Programs that were run. */
    long programs;

    /** Programs that were given up, because a change of the code or of the stack made a loop that does not end. */
    long endless;

    private volatile long current;

    /** Faults at which the two were compared. */
    long faults;

    TranslatorSequences() {
        for (InterpreterUnderTest machine : new InterpreterUnderTest[] {interpreted, translated}) {
            long noExecute = Long.MIN_VALUE;
            machine.map(1, SequenceGenerator.COUNTER, COUNTER_FRAME, 1, noExecute | 0x67);
            long again = AddressSpace.DATA + AGAIN;
            machine.map(3, again, InterpreterUnderTest.DATA_FRAME, AddressSpace.DATA_PAGES, noExecute | 0x67);
            machine.map(1, SequenceGenerator.ALIAS, FIRST, AddressSpace.CODE_PAGES, noExecute | 0x67);
        }
        Thread.ofPlatform().daemon().name("watch").start(this::watch);
    }

    /** Ends programs that take too long. */
    private void watch() {
        long seen = -1;
        while (current >= 0) {
            if (current == seen) {
                interpreted.cpu.events.raise(Events.CANCEL);
                translated.cpu.events.raise(Events.CANCEL);
            }
            seen = current;
            LockSupport.parkNanos(PATIENCE.toNanos());
        }
    }

    /** Instructions that were executed in translated code. */
    long translatedInstructions() {
        TranslatedCode code = translated.translated;
        return code == null ? 0 : code.executed;
    }

    /** Runs one program from one state; says what differs, or null. */
    @Nullable
    String run(Sequence sequence, long seed) {
        prepare(interpreted, sequence, seed);
        prepare(translated, sequence, seed);
        programs++;
        current = programs;
        for (int i = 0; ; i++) {
            GuestFault expected = go(interpreted);
            GuestFault found = go(translated);
            if (expected == null || found == null) {
                endless++;
                return null;
            }
            faults++;
            boolean ended = expected.vector == GuestFault.UD
                    && interpreted.cpu.rip == AddressSpace.CODE + sequence.starts()[sequence.length() - 1];
            String difference = difference(expected, found, ended);
            if (difference != null || ended || i == sequence.landings().length) {
                return difference;
            }
            for (InterpreterUnderTest machine : new InterpreterUnderTest[] {interpreted, translated}) {
                machine.cpu.rip = AddressSpace.CODE + sequence.landings()[i];
                machine.cpu.alu.setFlags(Form.CF);
            }
        }
    }

    private static void prepare(InterpreterUnderTest machine, Sequence sequence, long seed) {
        Random random = new Random(seed);
        MemorySegment ram = machine.memory.segment();
        ram.asSlice(FIRST, END - FIRST).fill((byte) 0xcc);
        MemorySegment.copy(sequence.code(), 0, ram, JAVA_BYTE, FIRST + sequence.start(), sequence.code().length);
        for (long at = InterpreterUnderTest.DATA_FRAME; at < END - 0x1000; at += 8) {
            machine.memory.putLong(at, random.nextInt(4) == 0 ? random.nextLong() : random.nextInt(64));
        }
        machine.physical.written(FIRST, END - FIRST);
        machine.memory.putInt(COUNTER_FRAME, random.nextInt(40));
        machine.physical.written(COUNTER_FRAME, 4);
        Cpu cpu = machine.cpu;
        cpu.events.clear(Events.CANCEL);
        machine.interpreter.instructions = 0;
        machine.enterLongUserMode();
        for (int i = 0; i < 16; i++) {
            cpu.r[i] = switch (random.nextInt(4)) {
                case 0 -> random.nextLong();
                case 1 -> random.nextInt(256);
                default -> data(random);
            };
        }
        cpu.r[Cpu.RSP] = data(random);
        cpu.setFlags(random.nextInt() & FLAGS | 2);
        cpu.fpu.reset();
        if (random.nextInt(4) != 0) {
            cpu.fpu.initializeX87();
        }
        for (int i = 0; i < 32; i++) {
            cpu.fpu.xmm[i] =
                    random.nextBoolean() ? random.nextLong() : Double.doubleToRawLongBits(random.nextInt(1000));
        }
        cpu.fpu.mxcsr = 0x1f80;
        cpu.rip = AddressSpace.CODE + sequence.start();
    }

    private static long data(Random random) {
        return AddressSpace.DATA + 0x800 + random.nextInt(0x1000) + (random.nextInt(3) == 0 ? AGAIN : 0);
    }

    private static @Nullable GuestFault go(InterpreterUnderTest machine) {
        while (!machine.cpu.events.isPending(Events.CANCEL)) {
            machine.cpu.events.attention = false;
            machine.interpreter.execute(machine.cpu.interruptShadow);
            machine.cpu.setInterruptShadow(false);
            GuestFault fault = machine.interpreter.fault;
            if (fault != null) {
                return fault;
            }
        }
        return null;
    }

    private @Nullable String difference(GuestFault expected, GuestFault found, boolean flags) {
        Cpu a = interpreted.cpu;
        Cpu b = translated.cpu;
        if (expected.vector != found.vector || expected.errorCode != found.errorCode || a.rip != b.rip) {
            return "fault %d (%x) at %x instead of %d (%x) at %x"
                    .formatted(found.vector, found.errorCode, b.rip, expected.vector, expected.errorCode, a.rip);
        }
        if (expected.vector == GuestFault.PF && a.cr2 != b.cr2) {
            return "CR2 %x instead of %x".formatted(b.cr2, a.cr2);
        }
        for (int i = 0; i < 16; i++) {
            if (a.r[i] != b.r[i]) {
                return "register %d is %x instead of %x, fault %d at %x"
                        .formatted(i, b.r[i], a.r[i], expected.vector, a.rip);
            }
        }
        if (flags && a.alu.flags() != b.alu.flags() || a.systemFlags != b.systemFlags) {
            return "flags %x instead of %x".formatted(b.flags(), a.flags());
        }
        for (int i = 0; i < 32; i++) {
            if (a.fpu.xmm[i] != b.fpu.xmm[i]) {
                return "XMM%d is different, fault %d at %x".formatted(i / 2, expected.vector, a.rip);
            }
        }
        if (interpreted.interpreter.instructions != translated.interpreter.instructions) {
            return "%d instructions instead of %d, fault %d at %x"
                    .formatted(
                            translated.interpreter.instructions,
                            interpreted.interpreter.instructions,
                            expected.vector,
                            a.rip);
        }
        if (a.fpu.mxcsr != b.fpu.mxcsr) {
            return "MXCSR %x instead of %x".formatted(b.fpu.mxcsr, a.fpu.mxcsr);
        }
        if (!x87(a.fpu).equals(x87(b.fpu))) {
            return "x87 %s instead of %s, fault %d at %x".formatted(x87(b.fpu), x87(a.fpu), expected.vector, a.rip);
        }
        MemorySegment first = interpreted.memory.segment().asSlice(FIRST, END - FIRST);
        long at = first.mismatch(translated.memory.segment().asSlice(FIRST, END - FIRST));
        return at < 0
                ? null
                : "memory differs at physical address %x, fault %d at %x".formatted(FIRST + at, expected.vector, a.rip);
    }

    private static String x87(FpuState fpu) {
        StringBuilder text = new StringBuilder("%x %x %x, %x:%x %x %x:%x,"
                .formatted(
                        fpu.control,
                        fpu.statusWord(),
                        fpu.empty,
                        fpu.codeSelector,
                        fpu.instructionPointer,
                        fpu.opcode,
                        fpu.dataSelector,
                        fpu.dataPointer));
        for (int i = 0; i < 8; i++) {
            text.append(" %x %x".formatted(fpu.signExponent[i], fpu.significand[i]));
        }
        return text.toString();
    }

    /** The smallest program that still differs, as text. */
    String shrink(Sequence failing, long seed) {
        Sequence smallest = failing;
        for (int size = failing.length() / 2; size > 0; size /= 2) {
            for (int i = 0; i + size < failing.length(); i += size) {
                Sequence fewer = smallest.without(i, i + size);
                if (run(fewer, seed) != null) {
                    smallest = fewer;
                }
            }
        }
        StringBuilder text =
                new StringBuilder(run(smallest, seed) + ", from offset " + Integer.toHexString(smallest.start()) + ":");
        for (int i = 0; i < smallest.length(); i++) {
            int from = smallest.starts()[i] - smallest.start();
            int to = smallest.starts()[i + 1] - smallest.start();
            byte[] bytes = java.util.Arrays.copyOfRange(smallest.code(), from, to);
            Instruction in = new Instruction();
            int length = Decoder.decode(offset -> offset < bytes.length ? bytes[offset] & 0xff : 0, 64, in);
            if (in.form.operation() != Operation.NOP) {
                text.append(' ')
                        .append(Disassembler.text(in, 64, AddressSpace.CODE + smallest.starts()[i] + length))
                        .append(';');
            }
        }
        return text.toString();
    }

    @Override
    public void close() {
        current = -1;
        interpreted.close();
        translated.close();
    }
}
