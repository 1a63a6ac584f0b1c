package org.torte.hypervisor.software;

import static org.torte.hypervisor.software.PagingMachine.COUNTER;
import static org.torte.hypervisor.software.PagingMachine.KERNEL_STACK;
import static org.torte.hypervisor.software.PagingMachine.PAGE;
import static org.torte.hypervisor.software.PagingMachine.PAGES;
import static org.torte.hypervisor.software.PagingMachine.ROOTS;
import static org.torte.hypervisor.software.PagingMachine.USER;
import static org.torte.hypervisor.software.PagingMachine.USER_STACK;
import static org.torte.hypervisor.software.PagingMachine.WINDOWS;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;

/**
 * Makes programs of a kernel that changes its page tables and makes the processor forget what they were, in every way that is
 * enough for the change and in none that is not, so that all accesses afterwards are defined: pages to other frames,
 * read-only, not there, for the supervisor only, not executable; a large page split and joined; two address spaces, with
 * PCIDs and global pages or without. In between it and user code access those pages ({@link PagingAccesses}), in some programs with
 * traps ({@link PagingTraps}).
 *
 * <p>A program is a loop of units, each of which may be taken out without making the others undefined, but for those that
 * are {@code fixed}. Registers: r15 where to go on after a fault, r14 the stack, r13 a counter within units.
 */
final class PagingPrograms {
    static final long P = 1, W = 2, U = 4, A = 0x20, D = 0x40, LARGE = 0x80, G = 0x100, NX = Long.MIN_VALUE;

    private static final int WINDOW_3 = 2;
    private static final long NO_FLUSH = Long.MIN_VALUE;

    /**
     * A program.
     *
     * @param starts where each unit begins, and one more for the end of the last
     * @param fixed whether a unit must stay
     * @param end how long the program is
     * @param frames what is in the two regions of frames
     */
    @SuppressWarnings("ArrayRecordComponent") // never compared
    record Program(byte[] code, int[] starts, boolean[] fixed, int end, byte[][] frames, long cr0, long cr3, long cr4) {
        /** The same with NOPs in the place of units {@code from} to before {@code to} that may go. */
        Program without(int from, int to) {
            byte[] shorter = code.clone();
            for (int i = from; i < to; i++) {
                if (!fixed[i]) {
                    Arrays.fill(shorter, starts[i], starts[i + 1], (byte) 0x90);
                }
            }
            return new Program(shorter, starts, fixed, end, frames, cr0, cr3, cr4);
        }

        /** How many units. */
        int length() {
            return fixed.length;
        }
    }

    /** Who uses translations: an address space, and the number that tells its translations from others'. */
    private record Context(int space, int pcid) {}

    private final Random random;
    private PagingAccesses accesses;
    private PagingTraps traps;
    private LitmusProgram.Code code = new LitmusProgram.Code();
    private final List<Integer> starts = new ArrayList<>();
    private final List<Boolean> fixed = new ArrayList<>();
    private List<Context> contexts = List.of();

    /** The context that runs, and which of them may still have translations that are not true any more. */
    private int current;

    private boolean[] stale = {};
    private boolean named;

    PagingPrograms(Random random) {
        this.random = random;
        accesses = new PagingAccesses(random);
        traps = new PagingTraps(random, accesses);
    }

    Program next() {
        code = new LitmusProgram.Code();
        starts.clear();
        fixed.clear();
        named = random.nextInt(3) != 0;
        contexts = named
                ? List.of(new Context(0, 1), new Context(1, 2), new Context(0, 3))
                : List.of(new Context(0, 0), new Context(1, 0));
        stale = new boolean[contexts.size()];
        current = 0;
        accesses = new PagingAccesses(random);
        traps = new PagingTraps(random, accesses);
        boolean interrupted = random.nextInt(3) == 0;
        int units = 3 + random.nextInt(random.nextInt(3) == 0 ? 30 : 10);
        while (starts.size() < units && code.size() < PagingMachine.ROOM - 0x3000) {
            switch (random.nextInt(24)) {
                case 0, 1, 2, 3, 4 -> unit(this::change);
                case 14, 15 -> unit(this::exchangeCode);
                case 16, 17 -> user(interrupted);
                case 18, 19 -> unit(() -> trap(interrupted));
                case 5 -> unit(this::changeDirectory);
                case 6 -> unit(this::splitAndJoin);
                case 7 -> unit(this::appear);
                case 8 -> unit(this::protection);
                case 9, 10 -> switchContext(random.nextInt(contexts.size()));
                case 11 -> forgetOther();
                case 12, 13 -> user(interrupted);
                default -> unit(() -> accesses.some(code, CODE, false));
            }
        }
        end();
        int[] all = new int[starts.size() + 1];
        boolean[] stay = new boolean[starts.size()];
        for (int i = 0; i < stay.length; i++) {
            all[i] = starts.get(i);
            stay[i] = fixed.get(i);
        }
        all[stay.length] = code.size();
        byte[][] frames = {PagingFrames.make(random, PAGES), PagingFrames.make(random, PAGES)};
        return new Program(code.bytes(), all, stay, code.size(), frames, cr0(), cr3(contexts.getFirst()), cr4());
    }

    private static final int CODE = PagingMachine.CODE;

    private long cr0() {
        long cr0 = Cpu.CR0_PE | Cpu.CR0_MP | Cpu.CR0_ET | Cpu.CR0_NE | Cpu.CR0_PG;
        return cr0 | (random.nextInt(4) != 0 ? Cpu.CR0_WP : 0) | (random.nextBoolean() ? Cpu.CR0_AM : 0);
    }

    private long cr4() {
        long cr4 = Cpu.CR4_PAE | Cpu.CR4_OSFXSR | Cpu.CR4_OSXMMEXCPT;
        return cr4
                | (named ? Cpu.CR4_PCIDE : 0)
                | (random.nextInt(4) != 0 ? Cpu.CR4_PGE : 0)
                | (random.nextInt(5) == 0 ? Cpu.CR4_SMEP : 0)
                | (random.nextInt(5) == 0 ? Cpu.CR4_SMAP : 0);
    }

    private static long cr3(Context context) {
        return ROOTS[context.space()] | context.pcid();
    }

    private void unit(Runnable what) {
        starts.add(code.size());
        fixed.add(false);
        what.run();
    }

    private void fixed(Runnable what) {
        unit(what);
        fixed.set(fixed.size() - 1, true);
    }

    /** Leads back as often as the counter says, in the first context and with nothing stale. */
    private void end() {
        fixed(() -> {
            code.hex("31c00f23f8"); // xor eax, eax; mov dr7, rax
            code.hex("9c812424").int32(~(Cpu.TF | Cpu.AC | 0x8d5)).hex("9d"); // pushf; and dword [rsp], ...; popf
            code.hex("68").int32(0x1f80).hex("0fae142458"); // ldmxcsr; pop rax
            code.hex("dbe3"); // fninit
            for (int i = 1; i < stale.length; i++) {
                if (stale[i]) {
                    invalidateContext(1, i);
                }
            }
            if (current != 0 || stale[0]) {
                moveToCr3(0);
            }
            code.hex("ff0c25").int32(COUNTER);
            code.hex("0f8f").int32(-code.size() - 4);
            code.hex("e6f4");
        });
    }

    // ---- what is stored in page tables

    private static long frame(Random random) {
        return PagingMachine.REGIONS[random.nextInt(2)] + (long) random.nextInt(PAGES) * PAGE;
    }

    private static long rights(Random random) {
        return (random.nextInt(10) != 0 ? P : 0)
                | (random.nextInt(6) != 0 ? W : 0)
                | (random.nextInt(6) != 0 ? U : 0)
                | (random.nextBoolean() ? A | D : random.nextInt(4) == 0 ? A : 0)
                | (random.nextInt(10) == 0 ? NX : 0);
    }

    /** An entry for a page of a window; only those that both address spaces share may be global. */
    static long pageEntry(Random random, int window) {
        boolean global = isShared(window) && random.nextInt(3) == 0;
        return frame(random) | rights(random) | (global ? G : 0);
    }

    private static boolean isShared(int window) {
        return window == 1 || window == 3;
    }

    private void store(int address, long value) {
        switch (random.nextInt(3)) {
            case 0 -> code.hex("48b8").int64(value).hex("48890425").int32(address); // mov [...], rax
            case 1 -> code.hex("48ba").int64(value).hex("48871425").int32(address); // xchg [...], rdx
            default ->
                code.hex("c70425")
                        .int32(address)
                        .int32((int) value)
                        .hex("c70425")
                        .int32(address + 4)
                        .int32((int) (value >>> 32));
        }
    }

    /** A change of single bits: to set, to clear or to turn over. */
    private void flip(int address, long bits) {
        String prefix = random.nextBoolean() ? "f0" : "";
        if (bits == NX) {
            String operation = List.of("2c", "34", "3c").get(random.nextInt(3)); // bts, btr, btc
            code.hex(prefix + "480fba" + operation + "25").int32(address).hex("3f");
            return;
        }
        switch (random.nextInt(3)) {
            case 0 -> code.hex(prefix + "48810c25").int32(address).int32((int) bits); // or
            case 1 -> code.hex(prefix + "48812425").int32(address).int32((int) ~bits); // and
            default -> code.hex(prefix + "48813425").int32(address).int32((int) bits); // xor
        }
    }

    // ---- changes

    /** Changes entries of pages in a window, mostly of the address space that runs, and makes all of that true. */
    private void change() {
        int space = contexts.get(current).space();
        int window = random.nextInt(4);
        if (random.nextInt(5) == 0 && !isShared(window)) {
            changePages(1 - space, window, 1 + random.nextInt(3));
            markOthers(1 - space, false);
            return;
        }
        List<Integer> pages = changePages(space, window, random.nextInt(3) == 0 ? 2 : 1);
        if (random.nextInt(6) == 0) {
            accesses.elsewhere(code, window);
        }
        invalidatePages(window, pages);
        if (random.nextBoolean()) {
            for (int page : pages) {
                accesses.to(code, CODE, false, WINDOWS[window] + page * PAGE);
            }
        }
    }

    /** A function that is called in one frame and then in another; it may begin in the page before that one. */
    private void exchangeCode() {
        int space = contexts.get(current).space();
        int window = random.nextInt(4);
        int page = accesses.page(window);
        int function = random.nextInt(3) == 0 && page > 0 ? PagingFrames.STRADDLER - PAGE : accesses.function();
        long common = isShared(window) && random.nextInt(3) == 0 ? G | P | W : P | W;
        int count = 2 + random.nextInt(2);
        for (int i = count; i > 0; i--) {
            store(
                    PagingMachine.entryAddress(space, window, page),
                    frame(random) | common | random.nextLong() & (A | D | U));
            if (isShared(window) && i < count && (common & G) == 0 && random.nextBoolean()) {
                // It was not global before either, whatever the page is that the instruction begins in.
                forgetOwn();
                markOthers(space, true);
            } else {
                invalidatePages(window, List.of(page));
            }
            for (int calls = 1 + random.nextInt(2); calls > 0; calls--) {
                accesses.call(code, CODE, WINDOWS[window] + page * PAGE + function);
            }
            if (random.nextBoolean()) {
                accesses.to(code, CODE, false, WINDOWS[window] + page * PAGE);
            }
        }
    }

    private List<Integer> changePages(int space, int window, int count) {
        List<Integer> pages = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            int page = accesses.page(window);
            int address = PagingMachine.entryAddress(space, window, page);
            pages.add(page);
            long[] single = {P, W, U, A, D, A | D, NX};
            if (random.nextInt(3) != 0) {
                store(address, pageEntry(random, window));
            } else {
                flip(address, isShared(window) && random.nextInt(4) == 0 ? G : single[random.nextInt(single.length)]);
            }
        }
        return pages;
    }

    /** Contexts of an address space, or all others if a shared table has changed, have to forget before they run. */
    private void markOthers(int space, boolean shared) {
        for (int i = 0; i < stale.length; i++) {
            stale[i] |= i != current && (shared || contexts.get(i).space() == space);
        }
    }

    /** What is enough after changes of entries of single pages. */
    private void invalidatePages(int window, List<Integer> pages) {
        boolean shared = isShared(window);
        switch (random.nextInt(shared ? 3 : 7)) {
            case 0 -> forgetAll();
            case 1, 2, 4 -> pages.forEach(page -> invlpg(WINDOWS[window] + page * PAGE + random.nextInt(PAGE)));
            case 3 -> {
                for (int page : pages) {
                    code.hex("68").int32(WINDOWS[window] + page * PAGE + random.nextInt(PAGE));
                    invpcid(0, contexts.get(current).pcid());
                }
            }
            default -> forgetOwn();
        }
        markOthers(contexts.get(current).space(), shared);
    }

    /** What is enough after a change of the page directory's entry for a window. */
    private void invalidateWindow(int window) {
        boolean shared = isShared(window);
        switch (random.nextInt(shared ? 2 : 4)) {
            case 0 -> forgetAll();
            case 1 -> {
                for (int page = 0; page < PAGES; page++) {
                    invlpg(WINDOWS[window] + page * PAGE);
                }
            }
            default -> forgetOwn();
        }
        markOthers(contexts.get(current).space(), shared);
    }

    private void invlpg(int address) {
        if (random.nextBoolean()) {
            code.hex("0f013c25").int32(address);
        } else {
            code.hex("48c7c6").int32(address).hex("0f013e"); // mov rsi, ...; invlpg [rsi]
        }
    }

    /** INVPCID of a kind; the address has been pushed. */
    private void invpcid(int kind, int pcid) {
        code.hex("6a%02xb8".formatted(pcid)).int32(kind).hex("660f388204244883c410");
    }

    private void invalidateContext(int kind, int context) {
        code.hex("6a00");
        invpcid(kind, contexts.get(context).pcid());
    }

    /** Everything of every context, global pages too. */
    private void forgetAll() {
        if (random.nextBoolean()) {
            invalidateContext(2, current);
        } else {
            for (int i = 0; i < 2; i++) {
                code.hex("0f20e0480fbaf8070f22e0"); // mov rax, cr4; btc rax, 7; mov cr4, rax
            }
        }
    }

    /** Everything of the current context but global pages. */
    private void forgetOwn() {
        switch (random.nextInt(4)) {
            case 0 -> invalidateContext(1, current);
            case 1 -> invalidateContext(3, current);
            case 2 -> code.hex("0f20d80f22d8"); // mov rax, cr3; mov cr3, rax
            default -> moveToCr3(current, false);
        }
    }

    // ---- contexts

    private void moveToCr3(int context) {
        boolean keep = named && !stale[context] && random.nextBoolean();
        moveToCr3(context, keep);
        stale[context] = false;
        current = context;
    }

    private void moveToCr3(int context, boolean keep) {
        code.hex("48b8")
                .int64(cr3(contexts.get(context)) | (keep ? NO_FLUSH : 0))
                .hex("0f22d8");
    }

    private void switchContext(int context) {
        fixed(() -> moveToCr3(context));
    }

    /** Makes a context that does not run forget what it has. */
    private void forgetOther() {
        int context = random.nextInt(contexts.size());
        if (named && context != current) {
            fixed(() -> {
                invalidateContext(1, context);
                stale[context] = false;
            });
        }
    }

    // ---- whole windows

    /** Other rights for a window, or another large page, or small ones, in the page directory. */
    private void changeDirectory() {
        int space = contexts.get(current).space();
        int[] windows = {0, WINDOW_3, WINDOW_3, 3}; // the second is shared, but the directory above it is not
        int window = windows[random.nextInt(windows.length)];
        int address = PagingMachine.directoryEntryAddress(space, window);
        if (window == WINDOW_3 && random.nextBoolean()) {
            store(address, largeEntry());
        } else {
            store(address, PagingMachine.TABLES[space][window] | rights(random));
        }
        invalidateWindow(window);
        accesses.to(code, CODE, false, WINDOWS[window] + accesses.page(window) * PAGE);
    }

    private long largeEntry() {
        return PagingMachine.REGIONS[random.nextInt(2)] | rights(random) | LARGE;
    }

    /** A large page that is accessed, small ones in its place, or the other way round. */
    private void splitAndJoin() {
        int space = contexts.get(current).space();
        int address = PagingMachine.directoryEntryAddress(space, WINDOW_3);
        boolean split = random.nextBoolean();
        for (int i = 0; i < 2; i++) {
            boolean large = split == (i == 0);
            if (large) {
                store(address, largeEntry() | P);
            } else {
                changePages(space, WINDOW_3, random.nextInt(3));
                store(address, PagingMachine.TABLES[space][WINDOW_3] | P | W | U);
            }
            if (i == 1 && split && random.nextBoolean()) {
                // One address in a large page is enough for all of it.
                invlpg(WINDOWS[WINDOW_3] + random.nextInt(1 << 21));
                markOthers(space, false);
            } else {
                invalidateWindow(WINDOW_3);
            }
            for (int n = 1 + random.nextInt(3); n > 0; n--) {
                accesses.to(code, CODE, false, WINDOWS[WINDOW_3] + accesses.page(WINDOW_3) * PAGE);
            }
        }
    }

    /** A page that goes, and comes again, for which nothing has to be forgotten. */
    private void appear() {
        int space = contexts.get(current).space();
        int window = random.nextInt(4);
        int page = accesses.page(window);
        int linear = WINDOWS[window] + page * PAGE;
        int address = PagingMachine.entryAddress(space, window, page);
        store(address, pageEntry(random, window) & ~P);
        invalidatePages(window, List.of(page));
        accesses.to(code, CODE, false, linear);
        store(address, pageEntry(random, window) | P);
        accesses.to(code, CODE, false, linear);
        accesses.to(code, CODE, false, linear);
    }

    /** Turns over CR0.WP, CR4.SMEP, CR4.SMAP or CR4.PGE, or changes AC. */
    private void protection() {
        switch (random.nextInt(6)) {
            case 0 -> code.hex("0f20c0480fbaf8100f22c0");
            case 1 -> code.hex("0f20e0480fbaf8140f22e0");
            case 2 -> code.hex("0f20e0480fbaf8150f22e0");
            case 3 -> code.hex("0f20e0480fbaf8070f22e0");
            case 4 -> code.hex("0f01cb");
            default -> code.hex("0f01ca");
        }
    }

    // ---- traps

    /** Something that traps, in some programs; accesses in others. */
    private void trap(boolean interrupted) {
        switch (interrupted ? random.nextInt(4) : 4) {
            case 0 -> traps.singleSteps(code, CODE, false);
            case 1 -> traps.breakpoints(code, starts);
            case 2 -> traps.vectors(code);
            case 3 -> traps.x87(code);
            default -> accesses.some(code, CODE, false);
        }
    }

    private void userTrap() {
        switch (random.nextInt(3)) {
            case 0 -> traps.singleSteps(code, CODE + USER, true);
            case 1 -> traps.vectors(code);
            default -> traps.x87(code);
        }
    }

    // ---- user code

    /** User code for some units. */
    private void user(boolean interrupted) {
        fixed(() -> {
            code.hex("488d0d"); // lea rcx, [rip + ...]
            int from = code.size() + 4;
            LitmusProgram.Code rest = new LitmusProgram.Code();
            if (random.nextBoolean()) {
                rest.hex("4881c1").int32(USER); // add rcx, ...
                rest.hex("9c415b49c7c6").int32(USER_STACK); // pushf; pop r11; mov r14, ...
                rest.hex("4c89f4480f07"); // mov rsp, r14; sysretq
            } else {
                rest.hex("4881c1").int32(USER);
                rest.hex("6a2b68").int32(USER_STACK).hex("9c6a3351"); // push ss, rsp, flags, cs, rip
                rest.hex("49c7c6").int32(USER_STACK).hex("48cf"); // mov r14, ...; iretq
            }
            code.int32(rest.size());
            assert code.size() == from;
            code.hex(java.util.HexFormat.of().formatHex(rest.bytes()));
        });
        for (int i = 1 + random.nextInt(4); i > 0; i--) {
            if (interrupted && random.nextInt(3) == 0) {
                unit(this::userTrap);
            } else {
                unit(() -> accesses.some(code, CODE + USER, true));
            }
        }
        fixed(() -> code.hex("0f0549c7c6").int32(KERNEL_STACK).hex("4c89f4")); // syscall; mov r14, ...; mov rsp, r14
    }
}
