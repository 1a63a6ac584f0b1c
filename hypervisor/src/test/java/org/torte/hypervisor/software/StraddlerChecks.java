package org.torte.hypervisor.software;

import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import org.torte.hypervisor.oracle.AddressSpace;
import org.torte.hypervisor.software.translator.Site;

/**
 * An instruction that goes on into the next page, translated: whether code notices that the second page is another one by now,
 * in each of the ways in which that can become so, that it is gone, and that its bytes were written; however the instruction
 * is come to. And whether it stays in code otherwise.
 */
final class StraddlerChecks {
    private static final long NO_EXECUTE = Long.MIN_VALUE, CODE = 0x65, ALIAS = SequenceGenerator.ALIAS;
    private static final long FIRST = InterpreterUnderTest.CODE_FRAME, SECOND = FIRST + 0x1000, OTHER = 0x3_0000;
    private static final long SECOND_PAGE = AddressSpace.CODE + 0x1000, STACK = AddressSpace.DATA + 0x1800;

    /** The instruction, by way of a block in its page that leads to it, and by a call from afar. */
    private static final long STRADDLER = SECOND_PAGE - 2, BEFORE = STRADDLER - 5, CALL = AddressSpace.CODE + 0x100;

    private final InterpreterUnderTest machine = new InterpreterUnderTest(true);
    private final Cpu cpu = machine.cpu;
    private final List<String> wrong = new ArrayList<>();

    private StraddlerChecks() {}

    /** Everything that is not as it should be. */
    static List<String> run() {
        StraddlerChecks checks = new StraddlerChecks();
        try (checks.machine) {
            checks.prepare();
            for (long from : new long[] {STRADDLER, BEFORE, CALL}) {
                checks.remapped(from);
                checks.written(from);
            }
            checks.loop();
        }
        return checks.wrong;
    }

    private void put(long frame, String code) {
        machine.put(frame, code);
    }

    private void prepare() {
        machine.enterLongUserMode();
        machine.map(1, ALIAS, SECOND, 1, NO_EXECUTE | 0x67);
        // dec ecx; jne to the straddler itself, which is 3 bytes on; int3; then mov eax, imm32
        put(FIRST + 0xff9, "ffc9 7501 cc b801".replace(" ", ""));
        // call to the straddler
        long distance = STRADDLER - (CALL + 5);
        put(FIRST + 0x100, "e8" + HexFormat.of().toHexDigits(Integer.reverseBytes((int) distance)));
        second(SECOND, 0);
        second(OTHER, 0);
    }

    /** Of a second page: the rest of the constant, which begins with 1, then int3. */
    private void second(long frame, int value) {
        put(frame, "%02x0000cc".formatted(value));
    }

    private void map(long frame) {
        machine.map(0, SECOND_PAGE, frame, 1, CODE);
    }

    /** Executes until the next exception. */
    private GuestFault execute(long rip) {
        cpu.rip = rip;
        cpu.r[Cpu.RSP] = STACK;
        cpu.r[Cpu.RCX] = 2;
        cpu.r[Cpu.RAX] = 0;
        return machine.untilException();
    }

    private void expect(String what, long from, int value) {
        execute(from);
        long expected = value << 8 | 1;
        if (cpu.r[Cpu.RAX] != expected) {
            wrong.add("%s, from %x: %x instead of %x".formatted(what, from, cpu.r[Cpu.RAX], expected));
        }
    }

    private void remapped(long from) {
        Mmu mmu = cpu.mmu;
        List<Runnable> ways = List.of(mmu::flush, mmu::flushLocal, () -> mmu.flushPage(SECOND_PAGE + 0x20));
        for (int i = 0; i < ways.size(); i++) {
            map(SECOND);
            ways.get(i).run();
            second(SECOND, 2);
            second(OTHER, 3);
            expect("first page", from, 2);
            expect("first page again", from, 2);
            map(OTHER);
            ways.get(i).run();
            expect("other page, way " + i, from, 3);
            expect("other page again, way " + i, from, 3);
            machine.map(0, SECOND_PAGE, OTHER, 1, 0);
            ways.get(i).run();
            GuestFault fault = execute(from);
            if (fault.vector != GuestFault.PF || cpu.cr2 != SECOND_PAGE || cpu.rip != STRADDLER) {
                wrong.add("no page, from %x, way %d: fault %d at %x for %x"
                        .formatted(from, i, fault.vector, cpu.rip, cpu.cr2));
            }
        }
        map(SECOND);
        mmu.flush();
    }

    private void written(long from) {
        for (int value = 4; value < 8; value++) {
            second(SECOND, value);
            expect("second page written", from, value);
        }
    }

    private void loop() {
        TranslatedCode translated = machine.translated;
        if (translated == null) {
            wrong.add("nothing is translated");
            return;
        }
        // mov eax, imm32; dec ecx; jne back to the straddler; int3
        put(SECOND, "090000ffc975f7cc");
        for (int round = 0; round < 2; round++) {
            cpu.rip = STRADDLER;
            long before = exits(translated);
            cpu.r[Cpu.RCX] = 10_000;
            cpu.rip = STRADDLER;
            GuestFault fault = null;
            while (fault == null) {
                cpu.events.attention = false;
                machine.interpreter.execute(false);
                fault = machine.interpreter.fault;
            }
            if (cpu.r[Cpu.RCX] != 0 || cpu.r[Cpu.RAX] != 0x901) {
                wrong.add("loop: %x and %x are left".formatted(cpu.r[Cpu.RCX], cpu.r[Cpu.RAX]));
            }
            if (exits(translated) - before > 100) {
                wrong.add("code was left " + (exits(translated) - before) + " times");
            }
        }
    }

    private static long exits(TranslatedCode code) {
        return code.exits[Site.CHAIN] + code.exits[Site.JUMP] + code.exits[Site.LOST] + code.exits[Site.INTERPRET];
    }
}
