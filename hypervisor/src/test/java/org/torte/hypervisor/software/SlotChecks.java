package org.torte.hypervisor.software;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.torte.hypervisor.oracle.AddressSpace;
import org.torte.hypervisor.software.translator.Site;

/**
 * Whether translated code notices that the page which an instruction accessed last is not to be accessed like that any
 * more: its tables have changed and were dropped in each of the ways there are, it holds code, its writes are tracked. And
 * whether an instruction that changes between pages stops looking for the last one.
 */
final class SlotChecks {
    private static final long NO_EXECUTE = Long.MIN_VALUE, WRITABLE = NO_EXECUTE | 0x67, READ_ONLY = NO_EXECUTE | 0x65;
    private static final long FIRST = InterpreterUnderTest.DATA_FRAME, SECOND = 0x3_0000;

    /** Where the second frame may be executed. */
    private static final long EXECUTABLE = 0x3000_8000L;

    /** In the first frame, so that the stack's page stays mapped: the one that is stored to is another. */
    private static final long DATA = AddressSpace.DATA, STACK = DATA + 0x1800;

    private final InterpreterUnderTest machine = new InterpreterUnderTest(true);
    private final Cpu cpu = machine.cpu;
    private final List<String> wrong = new ArrayList<>();

    private SlotChecks() {}

    /** Everything that is not as it should be. */
    static List<String> run() {
        SlotChecks checks = new SlotChecks();
        try (checks.machine) {
            checks.droppedPages();
            checks.code();
            checks.dirtyPages();
            checks.restlessAccess();
            checks.loopThatMisses();
        }
        return checks.wrong;
    }

    private void put(long frame, String code) {
        machine.put(frame, code);
    }

    /** Executes until the next exception. */
    private GuestFault execute(long rip) {
        cpu.rip = rip;
        cpu.r[Cpu.RSP] = STACK;
        return machine.untilException();
    }

    private GuestFault store(long address, long value) {
        cpu.r[Cpu.RAX] = value;
        cpu.r[Cpu.RBX] = address;
        return execute(AddressSpace.CODE);
    }

    private void expect(String what, long found, long expected) {
        if (found != expected) {
            wrong.add("%s: %x instead of %x".formatted(what, found, expected));
        }
    }

    private void droppedPages() {
        machine.enterLongUserMode();
        // mov [rbx], rax; push rax; mov rcx, [rbx]; pop rdx; int3
        put(InterpreterUnderTest.CODE_FRAME, "48890350488b0b5acc");
        Mmu mmu = cpu.mmu;
        List<Runnable> ways = List.of(mmu::flush, mmu::flushLocal, () -> mmu.flushPage(DATA));
        for (int i = 0; i < ways.size(); i++) {
            machine.map(1, DATA, FIRST, 1, WRITABLE);
            ways.get(i).run();
            store(DATA, 1);
            store(DATA + 8, 2);
            machine.map(1, DATA, SECOND, 1, WRITABLE);
            ways.get(i).run();
            machine.memory.putLong(SECOND, 0);
            store(DATA, 3);
            expect("old page, way " + i, machine.memory.getLong(FIRST), 1);
            expect("new page, way " + i, machine.memory.getLong(SECOND), 3);
            expect("read back, way " + i, cpu.r[Cpu.RCX], 3);
            expect("popped, way " + i, cpu.r[Cpu.RDX], 3);
            machine.map(1, DATA, SECOND, 1, READ_ONLY);
            ways.get(i).run();
            expect("write to a read-only page, way " + i, store(DATA, 4).vector, GuestFault.PF);
            expect("read-only page, way " + i, machine.memory.getLong(SECOND), 3);
        }
    }

    private void code() {
        machine.map(1, DATA, SECOND, 1, WRITABLE);
        machine.map(1, EXECUTABLE, SECOND, 1, 0x67);
        cpu.mmu.flush();
        put(SECOND + 0x800, "b801000000cc"); // mov eax, 1; int3
        store(DATA, 5);
        execute(EXECUTABLE + 0x800);
        expect("code", cpu.r[Cpu.RAX], 1);
        for (int value = 2; value < 6; value++) {
            store(DATA + 0x801, 0xcc_0000_0000L | value);
            execute(EXECUTABLE + 0x800);
            expect("code that was changed", cpu.r[Cpu.RAX], value);
            store(DATA, 6);
        }
    }

    private void dirtyPages() {
        machine.map(1, DATA, FIRST, 1, WRITABLE);
        cpu.mmu.flush();
        store(DATA, 7);
        machine.physical.startDirtyTracking();
        for (int i = 0; i < 3; i++) {
            cpu.mmu.flushWrites();
            machine.physical.takeDirtyPages();
            store(DATA, 8);
            long page = FIRST >>> 12;
            expect("dirty", machine.physical.takeDirtyPages()[(int) (page >>> 6)] >>> page & 1, 1);
        }
        machine.physical.stopDirtyTracking();
    }

    private void restlessAccess() {
        // mov [rbx], rax; xchg rbx, rsi; dec ecx; jne to the start; int3
        put(InterpreterUnderTest.CODE_FRAME + 0x100, "4889034887deffc975f6cc");
        TranslatedCode translated = machine.translated;
        if (translated == null) {
            wrong.add("nothing is translated");
            return;
        }
        long before = translated.exits[Site.MISSING];
        cpu.r[Cpu.RAX] = 9;
        cpu.r[Cpu.RBX] = DATA;
        cpu.r[Cpu.RSI] = DATA + 0x1000;
        cpu.r[Cpu.RCX] = 20_000;
        execute(AddressSpace.CODE + 0x100);
        expect("first of two pages", machine.memory.getLong(FIRST), 9);
        expect("second of two pages", machine.memory.getLong(FIRST + 0x1000), 9);
        if (translated.exits[Site.MISSING] - before > 8) {
            wrong.add("code was left " + (translated.exits[Site.MISSING] - before) + " times for two pages");
        }
        if (translated.learned == 0) {
            wrong.add("nothing was translated anew");
        }
    }

    /** A page at addresses of one set of the soft TLB, accessed in turn for ever: whoever waits for the processor must be heard. */
    private void loopThatMisses() {
        long apart = 0x100_0000; // as many pages as there are sets
        for (int i = 0; i < 3; i++) {
            machine.map(1, DATA + i * apart, FIRST, 1, WRITABLE);
        }
        // mov rax, [rbx]; mov rax, [rsi]; then jmp to the start, or mov rax, [rdi] before it; where blocks are not hot
        put(InterpreterUnderTest.CODE_FRAME + 0x208, "488b03488b06ebf8");
        put(InterpreterUnderTest.CODE_FRAME + 0x308, "488b03488b06488b07ebf5");
        for (int pages = 2; pages <= 3; pages++) {
            cpu.r[Cpu.RBX] = DATA;
            cpu.r[Cpu.RSI] = DATA + apart;
            cpu.r[Cpu.RDI] = DATA + 2 * apart;
            cpu.rip = AddressSpace.CODE + pages * 0x100L + 8;
            Thread processor = Thread.ofPlatform().daemon().start(() -> machine.interpreter.execute(false));
            try {
                TimeUnit.MILLISECONDS.sleep(50);
                cpu.events.raise(Events.CANCEL);
                if (!processor.join(Duration.ofSeconds(20))) {
                    wrong.add("a loop that misses with " + pages + " pages does not see events");
                    return;
                }
            } catch (InterruptedException e) {
                throw new IllegalStateException(e);
            }
            cpu.events.clear(Events.CANCEL);
        }
    }
}
