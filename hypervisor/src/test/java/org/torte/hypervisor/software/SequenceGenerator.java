package org.torte.hypervisor.software;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.torte.hypervisor.oracle.AddressSpace;
import org.torte.hypervisor.oracle.CodeMode;
import org.torte.hypervisor.oracle.InstructionGenerator;
import org.torte.hypervisor.oracle.TestProgram;
import org.torte.hypervisor.x86.Form;
import org.torte.hypervisor.x86.Operand;
import org.torte.hypervisor.x86.Operation;

/**
 * Makes programs of 5 to 200 instructions for {@link TranslatorSequences}: random instructions, branches forwards, loops
 * with a counter, calls, accesses by every kind of address, across pages and into pages that must not be written, flags
 * that are kept for long, and stores that change the code. Every program ends with UD2; all loops end.
 */
final class SequenceGenerator {
    /** Where the loops' counter is, alone in its page. */
    static final int COUNTER = 0x3000_8000;

    /** Where the code can be written. */
    static final int ALIAS = 0x3000_A000;

    /** Bytes for code. */
    static final int ROOM = AddressSpace.CODE_PAGES * 0x1000;

    private static final byte NOP = (byte) 0x90;

    /**
     * One instruction; {@code target} is the item that the displacement in its last four bytes leads to, or -1; nothing
     * leads to an {@code inner} one.
     */
    @SuppressWarnings("ArrayRecordComponent") // never compared
    private record Item(byte[] code, int target, boolean inner) {}

    /** A change of code: the item that stores, the item that is changed, and which of its bytes the store begins at. */
    private record Change(int store, int changed, int at) {}

    /** An item whose last four bytes are the distance to this address. */
    private record Relative(int item, int address) {}

    /**
     * A program.
     *
     * @param start where it begins in the code pages
     * @param code its bytes
     * @param starts where each instruction begins, from the start of the code pages; one more for the end
     * @param landings where execution goes on after the first fault, the second and so on
     */
    @SuppressWarnings("ArrayRecordComponent") // never compared
    record Sequence(int start, byte[] code, int[] starts, int[] landings) {
        /** The same with NOPs in the place of instructions {@code from} to before {@code to}. */
        Sequence without(int from, int to) {
            byte[] shorter = code.clone();
            java.util.Arrays.fill(shorter, starts[from] - start, starts[to] - start, NOP);
            return new Sequence(start, shorter, starts, landings);
        }

        /** How many instructions. */
        int length() {
            return starts.length - 1;
        }
    }

    private final Random random;
    private final InstructionGenerator instructions;
    private final List<Form> forms = new ArrayList<>();
    private final List<Form> x87Forms = new ArrayList<>();
    private final List<Item> items = new ArrayList<>();
    private final List<Integer> moves = new ArrayList<>();
    private final List<Change> changes = new ArrayList<>();
    private final List<Relative> relatives = new ArrayList<>();

    SequenceGenerator(Random random) {
        this.random = random;
        instructions = new InstructionGenerator(random);
        for (int i = 1; i < Form.count(); i++) {
            Form form = Form.of(i);
            if (fits(form)) {
                forms.add(form);
                if (form.operation().compareTo(Operation.FLD) >= 0
                        && form.operation().compareTo(Operation.FWAIT) <= 0) {
                    x87Forms.add(form);
                }
            }
        }
    }

    private static boolean fits(Form form) {
        if (!OracleScope.inSequence(form) || form.isPrivileged() || form.isIoPrivileged()) {
            return false;
        }
        return switch (form.operation()) {
            // Might lead back, for ever.
            case JMP, CALL, RET -> false;
            case JCC -> form.operand(0) == Operand.JB;
            case XSAVE, XRSTOR, RDFSBASE, RDGSBASE, WRFSBASE, WRGSBASE -> false;
            default -> true;
        };
    }

    Sequence next() {
        items.clear();
        moves.clear();
        changes.clear();
        relatives.clear();
        int length = 5 + random.nextInt(random.nextInt(4) == 0 ? 196 : 40);
        while (items.size() < length - 1) {
            switch (random.nextInt(32)) {
                case 0, 1 -> branch(0x0f, 0x80 | random.nextInt(16));
                case 2 -> branch(0xe9);
                case 3 -> loop();
                case 4 -> call();
                case 5 -> move();
                case 6 -> change();
                case 7 -> crossing();
                case 8, 9 -> flags();
                case 10 -> memory();
                case 11 -> edges();
                case 12 -> x87();
                case 13 -> high();
                case 14 -> pushes();
                case 15 -> time();
                default -> any();
            }
        }
        add(-1, 0x0f, 0x0b);
        return layOut();
    }

    private void add(int target, int... bytes) {
        byte[] code = new byte[bytes.length];
        for (int i = 0; i < bytes.length; i++) {
            code[i] = (byte) bytes[i];
        }
        items.add(new Item(code, target, false));
    }

    private void any() {
        any(forms);
    }

    /** A reading of the time-stamp counter, amid vectors and x87 numbers perhaps, of which only the place is looked at. */
    private void time() {
        boolean kept = random.nextBoolean();
        if (kept) {
            x87();
        }
        if (random.nextBoolean()) {
            add(-1, 0x48, 0x39, 0xc0 | random.nextInt(64)); // CMP
        }
        boolean processor = random.nextInt(3) == 0; // RDTSCP
        int value = random.nextInt();
        // One item, so that what hides the result stays there.
        if (random.nextBoolean()) {
            // By XOR, which replaces the flags.
            add(-1, 0x0f, processor ? 0x01 : 0x31, processor ? 0xf9 : 0x90, 0x31, 0xc0, 0x31, 0xd2);
        } else {
            add(
                    -1,
                    0x0f,
                    processor ? 0x01 : 0x31,
                    processor ? 0xf9 : 0x90,
                    0xb8,
                    value,
                    value >> 8,
                    value >> 16,
                    value >> 24,
                    0xba,
                    value,
                    value >> 8,
                    value >> 16,
                    value >> 24,
                    0x0f,
                    0x90 | random.nextInt(16),
                    0xc0 | random.nextInt(4));
        }
        if (kept) {
            x87();
        }
    }

    /** Numbers that are loaded, perhaps with another rounding, worked with, and stored; at times where that faults. */
    private void x87() {
        if (random.nextInt(3) == 0) {
            int control = 0x33f | random.nextInt(16) << 8 | random.nextInt(2) << 6;
            int at = (int) AddressSpace.DATA + 0x780;
            absolute(new int[] {0x66, 0xc7, 0x04, 0x25}, at, control, control >> 8);
            absolute(new int[] {0xd9, 0x2c, 0x25}, at);
        }
        for (int i = 1 + random.nextInt(3); i > 0; i--) {
            switch (random.nextInt(4)) {
                case 0 -> add(-1, 0xd9, 0xe8 | random.nextInt(7)); // a constant
                case 1 -> x87Memory(0xdf, 5); // FILD m64
                case 2 -> x87Memory(0xdb, 5); // FLD m80
                default -> x87Memory(random.nextBoolean() ? 0xd9 : 0xdd, 0);
            }
        }
        for (int i = random.nextInt(10); i > 0; i--) {
            switch (random.nextInt(4)) {
                case 0 -> x87Memory(0xd8 | random.nextInt(4) << 1, random.nextInt(8)); // arithmetic
                case 1 -> add(-1, 0xd8 | random.nextInt(2) << 2, 0xc0 | random.nextInt(64));
                default -> any(x87Forms);
            }
        }
        switch (random.nextInt(4)) {
            case 0 -> x87Memory(0xdb, 7);
            case 1 -> x87Memory(random.nextBoolean() ? 0xd9 : 0xdd, 2 + random.nextInt(2));
            case 2 -> x87Memory(0xdf, 7);
            default -> absolute(new int[] {0xdd, 0x3c, 0x25}, (int) AddressSpace.DATA + 0x700); // FNSTSW
        }
    }

    /** AH to BH together with memory, of which the address may be in the same register. */
    private void high() {
        int base = random.nextInt(8);
        constant(base == 4 ? 5 : base, (int) AddressSpace.DATA + 0x900 + random.nextInt(0x600));
        int[] opcodes = {0x88, 0x8a, 0x00, 0x02, 0x10, 0x12, 0x38, 0x3a, 0x84, 0x86, 0x32};
        int register = 4 + random.nextInt(4);
        switch (random.nextInt(4)) {
            case 0 ->
                absolute(
                        new int[] {opcodes[random.nextInt(opcodes.length)], 0x04 | register << 3, 0x25},
                        (int) AddressSpace.CONSTANTS - 2 + random.nextInt(4));
            case 1 ->
                add(
                        -1,
                        0x0f,
                        0xb0 | random.nextInt(2) << 4,
                        0x40 | register << 3 | (base == 4 ? 5 : base),
                        1); // CMPXCHG, XADD
            default ->
                add(-1, opcodes[random.nextInt(opcodes.length)], 0x40 | register << 3 | (base == 4 ? 5 : base), 2);
        }
    }

    private void x87Memory(int opcode, int operation) {
        long[] boundaries = {AddressSpace.DATA + 0x1000, AddressSpace.CONSTANTS, AddressSpace.CONSTANTS + 0x1000};
        int at = random.nextInt(6) == 0
                ? (int) boundaries[random.nextInt(3)] - 1 - random.nextInt(20)
                : (int) AddressSpace.DATA + 0x700 + random.nextInt(0x80);
        absolute(new int[] {opcode, 0x04 | operation << 3, 0x25}, at);
    }

    /** An instruction of one of these forms; where it leaves flags undefined, another replaces them. */
    private void any(List<Form> forms) {
        Form form = forms.get(random.nextInt(forms.size()));
        TestProgram program = instructions.generate(List.of(form), CodeMode.LONG);
        if (program == null) {
            return;
        }
        byte[] code = program.encodings().getFirst();
        if (OracleScope.branches(form)) {
            code[code.length - 1] = 0; // to the next instruction, not into the middle of another
        }
        items.add(new Item(code, -1, false));
        if (form.flagsUndefined() != 0) {
            add(-1, 0x48, 0x39, 0xc0 | random.nextInt(64));
        }
    }

    private void branch(int... opcode) {
        int[] bytes = java.util.Arrays.copyOf(opcode, opcode.length + 4);
        add(items.size() + 1 + random.nextInt(8), bytes);
    }

    /** Back, as long as the counter is above zero. */
    private void loop() {
        if (items.size() < 2) {
            return;
        }
        int back = Math.max(0, items.size() - 1 - random.nextInt(12));
        if (random.nextBoolean()) {
            absolute(new int[] {0xff, 0x0c, 0x25}, COUNTER);
            add(-1, 0xe9, 0, 0, 0, 0); // so that the next one is a block of its own, which begins with live flags
            add(back, 0x0f, 0x8f, 0, 0, 0, 0);
            inner(items.size() - 2);
            return;
        }
        absolute(new int[] {0x83, 0x3c, 0x25}, COUNTER, 0);
        add(items.size() + 3, 0x0f, 0x8e, 0, 0, 0, 0);
        absolute(new int[] {0xff, 0x0c, 0x25}, COUNTER);
        add(back, 0xe9, 0, 0, 0, 0);
        inner(items.size() - 3);
    }

    /** A function that is called, and jumped over. */
    private void call() {
        int at = items.size();
        add(at + 2, 0xe8, 0, 0, 0, 0);
        add(at + 4, 0xe9, 0, 0, 0, 0);
        move();
        add(-1, 0xc3);
    }

    /**
     * Registers and constants that are pushed, and popped again perhaps, with a return behind: within a page, across pages, and
     * where it faults on the way.
     */
    private void pushes() {
        if (random.nextInt(3) != 0) {
            long[] pages = {
                AddressSpace.DATA,
                AddressSpace.DATA + 0x1000,
                AddressSpace.DATA + 0x1800,
                AddressSpace.CONSTANTS,
                AddressSpace.CONSTANTS + 0x1000
            };
            int at = (int) pages[random.nextInt(pages.length)] + (random.nextInt(16) - 8) * 8;
            add(
                    -1,
                    0x48,
                    0xc7,
                    0xc4,
                    at + (random.nextInt(4) == 0 ? random.nextInt(8) : 0),
                    at >> 8,
                    at >> 16,
                    at >> 24);
        }
        int count = 1 + random.nextInt(8);
        int at = items.size();
        boolean function = random.nextBoolean();
        if (function) {
            // Called until the counter is used up.
            add(at + 4, 0xe8, 0, 0, 0, 0);
            absolute(new int[] {0xff, 0x0c, 0x25}, COUNTER);
            add(at, 0x0f, 0x8f, 0, 0, 0, 0);
            add(at + 6 + 2 * count, 0xe9, 0, 0, 0, 0);
        }
        for (int i = 0; i < count; i++) {
            switch (random.nextInt(8)) {
                case 0 -> add(-1, 0x6a, random.nextInt(256));
                case 1 -> add(-1, 0x68, random.nextInt(), random.nextInt(), random.nextInt(), random.nextInt());
                default -> add(-1, 0x40 | random.nextInt(2), 0x50 | random.nextInt(8));
            }
        }
        if (function) {
            add(-1, random.nextBoolean() ? 0x39 : 0x89, 0xc0 | random.nextInt(4) << 3 | random.nextInt(4)); // CMP, MOV
        }
        if (function || random.nextBoolean()) {
            for (int i = 0; i < count; i++) {
                int register = random.nextInt(32) == 0 ? 4 : random.nextInt(8);
                int rex = 0x40 | random.nextInt(2);
                add(-1, rex, 0x58 | (rex == 0x40 && register == 4 && random.nextInt(8) != 0 ? 5 : register));
            }
        }
        if (function) {
            if (random.nextInt(4) == 0) {
                add(-1, 0xc2, 8 * random.nextInt(3), 0);
            } else {
                add(-1, 0xc3);
            }
        }
    }

    /** A move of a constant, which stores may change. */
    private void move() {
        moves.add(items.size());
        int register = random.nextInt(8);
        int value = random.nextInt();
        add(-1, 0xb8 | (register == 4 ? 0 : register), value, value >> 8, value >> 16, value >> 24);
    }

    /** A store that changes the constant of a move, or its register. */
    private void change() {
        if (moves.isEmpty() || random.nextInt(3) == 0) {
            // One that is about to be executed.
            changes.add(new Change(items.size(), items.size() + 1, 1));
            absolute(new int[] {0xc7, 0x04, 0x25}, ALIAS, random.nextInt(), 0, 0, 0);
            move();
            return;
        }
        int changed = moves.get(random.nextInt(moves.size()));
        if (random.nextBoolean()) {
            changes.add(new Change(items.size(), changed, 1));
            absolute(new int[] {0xc7, 0x04, 0x25}, ALIAS, random.nextInt(), random.nextInt(), 0, 0);
        } else {
            changes.add(new Change(items.size(), changed, 0));
            absolute(new int[] {0xc6, 0x04, 0x25}, ALIAS, 0xb8 | random.nextInt(4));
        }
    }

    /** A load, a store or an addition to memory across a page boundary: of data, before constants, and before nothing. */
    private void crossing() {
        long[] boundaries = {AddressSpace.DATA + 0x1000, AddressSpace.CONSTANTS, AddressSpace.CONSTANTS + 0x1000};
        int opcode = new int[] {0x89, 0x8b, 0x01, 0x03, 0x87}[random.nextInt(5)];
        int at = (int) boundaries[random.nextInt(3)] - 1 - random.nextInt(7);
        absolute(new int[] {0x48, opcode, 0x04 | random.nextInt(4) << 3, 0x25}, at);
    }

    /**
     * Flags that are made, kept over an access to memory and over something that may leave them alone, and then looked
     * at: random instructions seldom stand so.
     */
    private void flags() {
        int first = items.size();
        int count = random.nextBoolean() ? 0 : 32;
        add(-1, 0xb9, count, 0, 0, 0);
        int[] setters = {0x39, 0x01, 0x29, 0x11, 0x19};
        add(
                -1,
                0x48,
                setters[random.nextInt(setters.length)],
                0xc0 | random.nextInt(4) << 3 | (random.nextBoolean() ? 3 : 0));
        if (random.nextInt(4) != 0) {
            absolute(new int[] {0x48, 0x8b, 0x04 | random.nextInt(4) << 3, 0x25}, (int) AddressSpace.DATA + 0x800);
            add(-1, 0xb9, count, 0, 0, 0);
        }
        int register = random.nextInt(4);
        switch (random.nextInt(6)) {
            case 0, 1 -> add(-1, 0xd3, 0xc0 | random.nextInt(8) << 3 | register); // by CL, which does nothing
            case 2 -> add(-1, 0xff, 0xc0 | random.nextInt(2) << 3 | register); // INC, DEC
            case 3 -> add(-1, new int[] {0xf5, 0xf8, 0xf9}[random.nextInt(3)]); // CMC, CLC, STC
            default -> {}
        }
        switch (random.nextInt(6)) {
            case 0 -> add(-1, 0x48, 0x11 | random.nextInt(2) << 3, 0xc0 | register); // ADC, SBB
            case 1 -> add(-1, 0x48, 0x0f, 0x40 | random.nextInt(16), 0xd0 | register);
            case 2 -> branch(0x0f, 0x80 | random.nextInt(16));
            case 3 -> add(-1, 0x9f);
            default -> add(-1, 0x0f, 0x90 | random.nextInt(16), 0xc0 | register);
        }
        inner(first + 1); // by another count flags would be undefined
    }

    /** Nothing leads to the items from this one on. */
    private void inner(int first) {
        for (int i = first; i < items.size(); i++) {
            items.set(i, new Item(items.get(i).code(), items.get(i).target(), true));
        }
    }

    /** A division that just about has a quotient, or a string that just about ends with its page. */
    private void edges() {
        int divisor = 2 + random.nextInt(1000);
        int left = 1 + random.nextInt(12);
        switch (random.nextInt(3)) {
            case 0 -> {
                constant(3, divisor);
                constant(2, divisor - 1 + random.nextInt(3));
                add(-1, 0xf7, 0xf3); // DIV EBX
                add(-1, 0x48, 0x39, 0xc0);
            }
            case 1 -> {
                constant(3, random.nextInt(4) - 2);
                constant(0, random.nextBoolean() ? Integer.MIN_VALUE : random.nextInt());
                add(-1, 0x99, 0xf7, 0xfb); // CDQ, IDIV EBX
                add(-1, 0x48, 0x39, 0xc0);
            }
            default -> {
                int size = random.nextBoolean() ? 1 : 4;
                boolean destination = random.nextBoolean();
                long end = random.nextBoolean() ? AddressSpace.CONSTANTS : AddressSpace.DATA + 0x1000;
                int edge = (int) end - left * size;
                int elsewhere = (int) AddressSpace.DATA + 0x100;
                constant(7, destination ? edge : elsewhere);
                constant(6, destination ? elsewhere : edge);
                constant(1, left - 1 + random.nextInt(3));
                add(-1, 0xf3, (random.nextBoolean() ? 0xa4 : 0xaa) | (size == 1 ? 0 : 1)); // REP MOVS, REP STOS
            }
        }
    }

    /** An access to data, or to constants, by each kind of address, with registers of which some are not in the host's. */
    private void memory() {
        int base = random.nextInt(16);
        int index = random.nextInt(16);
        boolean constant = random.nextInt(8) == 0;
        int data = (int) (constant ? AddressSpace.CONSTANTS : AddressSpace.DATA) + 0x900 + random.nextInt(0x600);
        int scale = random.nextInt(4);
        int small = random.nextInt(32);
        if (base == 4) {
            base = 12; // not the stack's pointer
        }
        if (index == 4 || index == base) {
            index = base == 13 ? 14 : 13;
        }
        constant(base, data);
        constant(index, small);
        int opcode = new int[] {0x89, 0x8b, 0x01, 0x03, 0x39, 0x63, 0x87, 0x85}[random.nextInt(8)];
        int register = random.nextInt(16);
        if (register == 4) {
            register = 5;
        }
        int rex = 0x48 | register >> 3 << 2;
        switch (random.nextInt(3)) {
            case 0 ->
                add(
                        -1,
                        rex | index >> 3 << 1 | base >> 3,
                        opcode,
                        0x44 | (register & 7) << 3,
                        scale << 6 | (index & 7) << 3 | base & 7,
                        random.nextInt(256));
            case 1 ->
                // an index alone
                absolute(
                        new int[] {
                            rex | index >> 3 << 1, opcode, 0x04 | (register & 7) << 3, scale << 6 | (index & 7) << 3 | 5
                        },
                        data);
            default -> relative(new int[] {rex, opcode, 0x05 | (register & 7) << 3}, data);
        }
    }

    private void constant(int register, int value) {
        add(-1, 0x40 | register >> 3, 0xb8 | register & 7, value, value >> 8, value >> 16, value >> 24);
    }

    /** An instruction whose operand is found from where it stands, which is known when all is laid out. */
    private void relative(int[] opcode, int address) {
        relatives.add(new Relative(items.size(), address));
        add(-1, java.util.Arrays.copyOf(opcode, opcode.length + 4));
    }

    private void absolute(int[] opcode, int address, int... after) {
        int[] bytes = java.util.Arrays.copyOf(opcode, opcode.length + 4 + after.length);
        for (int i = 0; i < 4; i++) {
            bytes[opcode.length + i] = address >> 8 * i;
        }
        System.arraycopy(after, 0, bytes, opcode.length + 4, after.length);
        add(-1, bytes);
    }

    /** The first item from this one on that something may lead to. */
    private int outer(int item) {
        int at = Math.min(item, items.size() - 1);
        while (items.get(at).inner()) {
            at++;
        }
        return at;
    }

    private Sequence layOut() {
        int size = items.stream().mapToInt(item -> item.code().length).sum();
        int start = random.nextBoolean()
                ? Math.max(0, 0x1000 - random.nextInt(Math.min(size, 0x1000) + 1))
                : random.nextInt(ROOM - size);
        int[] starts = new int[items.size() + 1];
        starts[0] = start;
        for (int i = 0; i < items.size(); i++) {
            starts[i + 1] = starts[i] + items.get(i).code().length;
        }
        ByteBuffer code = ByteBuffer.allocate(size).order(ByteOrder.LITTLE_ENDIAN);
        for (int i = 0; i < items.size(); i++) {
            code.put(items.get(i).code());
            int target = items.get(i).target();
            if (target >= 0) {
                int to = starts[outer(target)];
                code.putInt(code.position() - 4, to - starts[i + 1]);
            }
        }
        for (Change change : changes) {
            code.putInt(starts[change.store()] - start + 3, ALIAS + starts[change.changed()] + change.at());
        }
        for (Relative relative : relatives) {
            int next = starts[relative.item() + 1];
            code.putInt(next - start - 4, relative.address() - (int) AddressSpace.CODE - next);
        }
        int[] landings = random.ints(8, 1, items.size())
                .sorted()
                .map(i -> starts[outer(i)])
                .toArray();
        return new Sequence(start, code.array(), starts, landings);
    }
}
