package org.torte.hypervisor.software;

import static org.torte.hypervisor.software.PagingFrames.DATA;
import static org.torte.hypervisor.software.PagingFrames.DATA_END;
import static org.torte.hypervisor.software.PagingMachine.PAGE;
import static org.torte.hypervisor.software.PagingMachine.PAGES;
import static org.torte.hypervisor.software.PagingMachine.WINDOWS;

import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;

/**
 * Makes what {@link PagingPrograms} do with the pages of their windows: loads, stores, read-modify-writes, strings, the
 * stack, vectors, across pages too; calls and jumps to the functions there, to the instruction between two pages; stores that change
 * those functions, by whatever address they are mapped at. Often in a loop. Before each r15 is made to lead behind it.
 */
final class PagingAccesses {
    /** In an address: its low three bits are a register of these; none is one that programs use otherwise. */
    private static final int RBX = 3, RSI = 6;

    private final Random random;

    /** What is accessed mostly, so that it is again and again. */
    private final List<Integer> favourites = new ArrayList<>();

    PagingAccesses(Random random) {
        this.random = random;
        for (int i = 2 + random.nextInt(5); i > 0; i--) {
            favourites.add(random.nextInt(4 * PAGES));
        }
    }

    /** A page of a window. */
    int page(int window) {
        int favourite = favourites.get(random.nextInt(favourites.size()));
        return random.nextInt(4) != 0 ? favourite % PAGES : random.nextInt(PAGES);
    }

    private int linear() {
        int page =
                random.nextInt(4) != 0 ? favourites.get(random.nextInt(favourites.size())) : random.nextInt(4 * PAGES);
        return WINDOWS[page / PAGES] + page % PAGES * PAGE;
    }

    /** Some accesses, perhaps in a loop; {@code base} is where the code will see itself. */
    void some(LitmusProgram.Code code, int base, boolean user) {
        boolean loop = random.nextInt(3) != 0;
        int start = 0;
        if (loop) {
            code.hex("41bd").int32(1 + random.nextInt(12)); // mov r13d, ...
            start = code.size();
        }
        for (int i = 1 + random.nextInt(5); i > 0; i--) {
            to(code, base, user, linear());
        }
        if (loop) {
            code.hex("41ffcd0f85").int32(start - code.size() - 4); // dec r13d; jne
        }
    }

    /** A load of a page that is in another window. */
    void elsewhere(LitmusProgram.Code code, int window) {
        guarded(code, body -> body.hex("488b0425").int32(WINDOWS[window + 1 & 3] + data(8)));
    }

    /** One access to a page. */
    void to(LitmusProgram.Code code, int base, boolean user, int page) {
        guarded(code, body -> access(body, base + code.size() + 7, user, page));
    }

    /** A call. */
    void call(LitmusProgram.Code code, int base, int to) {
        guarded(code, body -> branch(body, base + code.size() + 7, to));
    }

    /** Appends machine code. */
    interface Body {
        void append(LitmusProgram.Code code);
    }

    /** lea r15, [rip + ...] to what follows, and this. */
    void guarded(LitmusProgram.Code code, Body body) {
        LitmusProgram.Code made = new LitmusProgram.Code();
        body.append(made);
        code.hex("4c8d3d").int32(made.size()).hex(HexFormat.of().formatHex(made.bytes()));
    }

    /** Somewhere in the data of some page. */
    int data() {
        return linear() + data(16);
    }

    /** Some function of some page. */
    int anyFunction() {
        return linear() + function();
    }

    private int data(int size) {
        int at = DATA + random.nextInt(DATA_END - DATA - size);
        return random.nextInt(3) == 0 ? at : at & -size;
    }

    private static String hex(int value) {
        return "%02x".formatted(value & 0xff);
    }

    /** RAX, RCX, RDX, RBP, RDI, R8 to R12. */
    private int register() {
        int[] registers = {0, 1, 2, 5, 7, 8, 9, 10, 11, 12};
        return registers[random.nextInt(registers.length)];
    }

    /** An instruction with a memory operand of {@code size} bytes at an address, which is taken up in some way. */
    private void memory(
            LitmusProgram.Code code, String prefix, boolean wide, String opcode, int register, int address) {
        int rex = (wide ? 0x48 : 0x40) | register >> 3 << 2;
        int reg = (register & 7) << 3;
        switch (random.nextInt(4)) {
            case 0 ->
                // mov rbx, ...; [rbx + 8]
                code.hex("48c7c3").int32(address - 8).hex(prefix + hex(rex) + opcode + hex(0x40 | reg | RBX) + "08");
            case 1 ->
                // mov rbx, ...; mov esi, ...; [rbx + rsi * 4 + ...]
                code.hex("48c7c3")
                        .int32(address - 0x1000)
                        .hex("be")
                        .int32(0x300)
                        .hex(prefix + hex(rex) + opcode + hex(0x84 | reg) + hex(0x80 | RSI << 3 | RBX))
                        .int32(0x1000 - 0xc00);
            default ->
                code.hex(prefix + hex(rex) + opcode + hex(4 | reg) + "25").int32(address);
        }
    }

    private void access(LitmusProgram.Code code, int base, boolean user, int page) {
        boolean wide = random.nextBoolean();
        int size = wide ? 8 : 4;
        int register = register();
        switch (random.nextInt(22)) {
            case 0, 1, 2 -> memory(code, "", wide, random.nextBoolean() ? "8b" : "03", register, page + data(size));
            case 3, 4, 5 -> memory(code, "", wide, "89", register, page + data(size));
            case 6, 7 -> {
                String[] opcodes = {"01", "11", "29", "31", "21", "09"};
                String prefix = random.nextInt(3) == 0 ? "f0" : "";
                memory(code, prefix, wide, opcodes[random.nextInt(opcodes.length)], register, page + data(size));
            }
            case 8 -> {
                String[] opcodes = {"87", "0fc1", "0fb1", "39", "85"}; // XCHG, XADD, CMPXCHG, CMP, TEST
                memory(code, "", wide, opcodes[random.nextInt(opcodes.length)], register, page + data(size));
            }
            case 9 -> memory(code, "", false, random.nextBoolean() ? "8a" : "88", random.nextInt(4), page + data(1));
            case 10 -> vector(code, page);
            case 11 -> crossing(code, page);
            case 12 -> strings(code, page);
            case 13 -> stack(code, base, page);
            case 14 -> changeCode(code, page);
            case 15 -> probe(code, user, page);
            default -> branch(code, base, page + function());
        }
    }

    private void vector(LitmusProgram.Code code, int page) {
        String[] opcodes = {"0f10", "0f11", "0f28", "0f29", "0f6f", "0fd4", "0fef"};
        int chosen = random.nextInt(opcodes.length);
        String prefix = chosen < 4 && random.nextBoolean() ? "" : "66";
        memory(code, prefix, false, opcodes[chosen], random.nextInt(4), page + data(16));
    }

    /** Across the end of a page; a store leaves the opcode and the RET there as they are. */
    private void crossing(LitmusProgram.Code code, int page) {
        int end = page + PAGE;
        switch (random.nextInt(5)) {
            case 0 -> memory(code, "", true, "8b", register(), end - 1 - random.nextInt(7));
            case 1 -> memory(code, "", false, "0f10", random.nextInt(4), end - 1 - random.nextInt(15));
            case 2 -> {
                int move = PagingFrames.MOVES[random.nextInt(3)];
                code.hex("b8").int32(random.nextInt() & 0xffff_00ff | move << 8);
                memory(code, "", false, random.nextBoolean() ? "89" : "87", 0, end - 3);
            }
            case 3 -> {
                int move = PagingFrames.MOVES[random.nextInt(3)];
                code.hex("48b8").int64(random.nextLong() & ~0xff00_0000L | (long) move << 24);
                memory(code, "", true, random.nextBoolean() ? "89" : "87", 0, end - 5);
            }
            default -> memory(code, "66", false, random.nextBoolean() ? "89" : "01", register(), end - 1);
        }
    }

    private void strings(LitmusProgram.Code code, int page) {
        boolean out = random.nextBoolean();
        int other = linear();
        int count = 1 + random.nextInt(24);
        code.hex("48c7c7").int32((out ? page : other) + DATA + random.nextInt(0x400));
        code.hex("48c7c6").int32((out ? other : page) + DATA + random.nextInt(0x400));
        code.hex("b9").int32(count);
        String[] operations = {"f348a5", "f3a4", "f348ab", "f3aa", "f3a5"}; // MOVS, STOS
        code.hex(operations[random.nextInt(operations.length)]);
    }

    /** The stack in a page. */
    private void stack(LitmusProgram.Code code, int base, int page) {
        int from = base + code.size();
        code.hex("48c7c4").int32(page + 0xff0 - 8 * random.nextInt(2)); // mov rsp, ...
        int register = register() & 7;
        switch (random.nextInt(3)) {
            case 0 -> code.hex(hex(0x50 | register) + "9c58" + hex(0x58 | register)); // push; pushf; pop rax; pop
            case 1 -> code.hex("6a1159");
            default -> append(code, from + 7, linear() + function());
        }
        code.hex("4c89f4"); // mov rsp, r14
    }

    /** Where in a page a function is. */
    int function() {
        return random.nextInt(6) == 0
                ? PagingFrames.STRADDLER
                : (1 + random.nextInt(PagingFrames.FUNCTIONS - 1)) * PagingFrames.FUNCTION;
    }

    private void changeCode(LitmusProgram.Code code, int page) {
        int function = page + (1 + random.nextInt(PagingFrames.CHANGEABLE - 1)) * PagingFrames.FUNCTION;
        switch (random.nextInt(3)) {
            case 0 -> code.hex("c70425").int32(function + 1).int32(random.nextInt());
            case 1 -> code.hex("c60425").int32(function).hex(hex(PagingFrames.MOVES[random.nextInt(3)]));
            default -> memory(code, random.nextBoolean() ? "f0" : "", false, "01", register(), function + 1);
        }
    }

    /** Something that user code must not do, or a look at the flags. */
    private void probe(LitmusProgram.Code code, boolean user, int page) {
        if (user && random.nextInt(3) == 0) {
            code.hex("0f013c25").int32(page); // invlpg
        } else {
            memory(code, "", true, "3b", register(), page + data(8));
            code.hex("0f" + hex(0x90 | random.nextInt(16)) + "c0"); // setcc al
        }
    }

    /** Appends a call from this address. */
    private static void append(LitmusProgram.Code code, int from, int to) {
        code.hex("e8").int32(to - from - 5);
    }

    private void branch(LitmusProgram.Code code, int base, int to) {
        int from = base + code.size();
        switch (random.nextInt(4)) {
            case 0, 1 -> append(code, from, to);
            case 2 -> code.hex("48c7c0").int32(to).hex("ffd0"); // mov rax, ...; call rax
            default -> {
                code.hex("4157"); // push r15: where a RET leads
                code.hex("e9").int32(to - from - 7);
            }
        }
    }
}
