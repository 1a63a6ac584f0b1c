package org.torte.hypervisor.software.translator;

import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import java.util.function.IntUnaryOperator;
import org.jspecify.annotations.Nullable;
import org.torte.hypervisor.x86.CodeSource;
import org.torte.hypervisor.x86.Decoder;
import org.torte.hypervisor.x86.Form;
import org.torte.hypervisor.x86.Instruction;
import org.torte.hypervisor.x86.Operand;

/**
 * A straight run of guest instructions within one page, decoded, with what is known about its arithmetic flags; or one
 * instruction that goes on into the next page. It consists of parts; behind each but the last is a conditional jump, which
 * leads out of the block.
 *
 * <p>A flag is live where some instruction may read it before it is replaced. Behind the block all flags are live, unless
 * its successor lies in the same page and is known to replace them: bytes of a page count as known only where code has
 * been decoded from it already, because then a write to them is noticed.
 */
final class GuestBlock implements CodeSource {
    private static final int LOOK_AHEAD = 8;
    private static final Set<Selection.Way> ENDS = EnumSet.of(
            Selection.Way.CALL,
            Selection.Way.RETURN,
            Selection.Way.JUMP,
            Selection.Way.CONDITIONAL_JUMP,
            Selection.Way.SYSTEM_CALL,
            Selection.Way.SYSTEM_RETURN,
            Selection.Way.INTERRUPT_RETURN);

    /** Ways of which code says itself that the instruction has to be interpreted. */
    private static final Set<Selection.Way> MAY_BE_INTERPRETED = EnumSet.of(
            Selection.Way.INTERPRETED,
            Selection.Way.DIVISION,
            Selection.Way.CLEAR_FLAG,
            Selection.Way.REPEATED_STRING,
            Selection.Way.SET_INTERRUPTS,
            Selection.Way.SYSTEM_CALL,
            Selection.Way.SYSTEM_RETURN,
            Selection.Way.INTERRUPT_RETURN,
            Selection.Way.USER_ACCESS,
            Selection.Way.SWAP_BASES,
            Selection.Way.BASE,
            Selection.Way.READ_TIME,
            Selection.Way.X87);

    private static final @Nullable Instruction[] NONE = {};

    /** Whatever changes instructions that the virtual processor does not have into what it executes instead. */
    interface Filter {
        void apply(Instruction instruction);
    }

    private static final int PAGE = 4096;

    final byte[] page;

    /** Whether its instruction may go on into the next page. */
    final boolean straddles;

    /** Linear address of the first instruction. */
    final long rip;

    /** Where it begins in the page. */
    final int start;

    final List<Instruction> instructions = new ArrayList<>();

    /** Where each instruction begins, from the block's start; one more for the end. */
    final int[] offsets;

    /** How each is translated. */
    final Selection.Way[] ways;

    /** Flags live before each instruction; one more for behind the block. */
    final int[] live;

    /** How many instructions there are up to the end of each part. */
    private final int[] parts;

    private int partCount;

    /** Whether it uses XMM registers. */
    private boolean vectors;

    /** Whether it has instructions of the x87 that are not interpreted. */
    private boolean x87;

    private final Selection selection;
    private final Filter filter;
    private final IntUnaryOperator decoded;

    // What is decoded at present: where it begins and must end, and whether more was wanted.
    private int decodedAt;
    private int decodedEnd;
    private boolean beyond;

    /**
     * @param page all bytes of the page; for an instruction that goes on into the next one so many of that as it may have
     * @param lengths how many instructions each part has at most; another one follows a conditional jump alone, and uses no
     *     registers besides the general ones that the first does not use
     * @param decoded how many bytes from this offset in the page on have been decoded before as a block that begins there; 0 if none has
     */
    GuestBlock(byte[] page, long rip, int[] lengths, Selection selection, Filter filter, IntUnaryOperator decoded) {
        this.page = page;
        straddles = page.length > PAGE;
        this.rip = rip;
        this.selection = selection;
        this.filter = filter;
        this.decoded = decoded;
        start = (int) rip & 0xfff;
        int count = 0;
        for (int length : lengths) {
            count += length;
        }
        parts = new int[lengths.length];
        offsets = new int[count + 1];
        ways = new Selection.Way[count];
        live = new int[count + 1];
        for (int length : lengths) {
            if (!addPart(length) || lastWay() != Selection.Way.CONDITIONAL_JUMP) {
                break;
            }
        }
        if (!instructions.isEmpty()) {
            findLive();
        }
    }

    /** Adds a part; false if that is not possible, or not all of it. */
    private boolean addPart(int length) {
        int first = size();
        boolean vectorsBefore = vectors;
        boolean x87Before = x87;
        boolean whole = true;
        while (size() < first + length) {
            Instruction in = new Instruction();
            if (!decode(start + length(), page.length, in)) {
                whole = false;
                break;
            }
            int offset = length() + in.length;
            Selection.Way way = select(in);
            ways[size()] = way;
            vectors |= way == Selection.Way.SAME && Selection.usesVectors(in.form);
            x87 |= way == Selection.Way.X87;
            instructions.add(in);
            offsets[size()] = offset;
        }
        if (first > 0 && (vectors != vectorsBefore || x87 != x87Before)) {
            instructions.subList(first, size()).clear();
            vectors = vectorsBefore;
            x87 = x87Before;
        }
        if (size() > first) {
            parts[partCount++] = size();
        }
        return whole && size() > first;
    }

    /** How many instructions there are up to the end of the part that one is in. */
    int partEnd(int instruction) {
        for (int i = 0; i < partCount; i++) {
            if (instruction < parts[i]) {
                return parts[i];
            }
        }
        return size();
    }

    /** How many instructions. */
    int size() {
        return instructions.size();
    }

    /** The instructions that may have to be interpreted where the code says so, up to the last of them; null for others. */
    @Nullable
    Instruction[] interpreted() {
        int count = size();
        while (count > 0 && !MAY_BE_INTERPRETED.contains(ways[count - 1])) {
            count--;
        }
        if (count == 0) {
            return NONE;
        }
        @Nullable Instruction[] those = new Instruction[count];
        for (int i = 0; i < count; i++) {
            if (MAY_BE_INTERPRETED.contains(ways[i])) {
                those[i] = instructions.get(i);
            }
        }
        return those;
    }

    /** Length in bytes. */
    int length() {
        return offsets[size()];
    }

    /** Whether no instruction can follow in the same block. */
    static boolean ends(Selection.Way way) {
        return ENDS.contains(way);
    }

    /** Whether a block that ends with such an instruction goes on behind it. */
    static boolean fallsThrough(Selection.Way last) {
        return last != Selection.Way.INTERPRETED && !ends(last);
    }

    /** Whether it uses XMM registers. */
    boolean usesVectors() {
        return vectors;
    }

    /** Whether it has instructions of the x87 that are not interpreted. */
    boolean usesX87() {
        return x87;
    }

    /** The last instruction's way. */
    Selection.Way lastWay() {
        return ways[size() - 1];
    }

    /** The address that a direct jump or call goes to. */
    long target(int instruction) {
        return rip + offsets[instruction + 1] + instructions.get(instruction).immediate;
    }

    /** The address that the direct jump or call at the end goes to. */
    long target() {
        return target(size() - 1);
    }

    boolean inPage(long address) {
        return (address ^ rip) >>> 12 == 0;
    }

    /** Decodes the instruction at an offset in the page; false if it reaches beyond {@code end} or cannot be translated at all. */
    private boolean decode(int at, int end, Instruction into) {
        decodedAt = at;
        decodedEnd = end;
        beyond = false;
        int length = Decoder.decode(this, 64, into);
        return !beyond && length != Decoder.TOO_LONG;
    }

    @Override
    public int fetch(int offset) {
        int at = decodedAt + offset;
        if (at >= decodedEnd) {
            beyond = true;
            return 0;
        }
        return page[at] & 0xff;
    }

    private Selection.Way select(Instruction in) {
        Form form = in.form;
        filter.apply(in);
        // An instruction that executes as another one does so on this processor, not on the host's.
        return in.form == form ? selection.of(in) : Selection.Way.INTERPRETED;
    }

    private void findLive() {
        int n = size();
        Instruction last = instructions.getLast();
        live[n] = switch (lastWay()) {
            case CONDITIONAL_JUMP -> liveAt(target()) | liveAt(rip + length());
            case JUMP, CALL ->
                last.memory || last.form.operand(0).kind() != Operand.Kind.RELATIVE ? Flags.ALL : liveAt(target());
            case RETURN, INTERPRETED, SYSTEM_CALL, SYSTEM_RETURN, INTERRUPT_RETURN -> Flags.ALL;
            default -> liveAt(rip + length());
        };
        for (int i = n - 1; i >= 0; i--) {
            int after = live[i + 1];
            if (i < n - 1 && ways[i] == Selection.Way.CONDITIONAL_JUMP) {
                after |= liveAt(target(i));
            }
            live[i] = liveBefore(instructions.get(i), ways[i], after);
        }
    }

    /** Whether flags are live at its start, and the first that its code does with them is to save them. */
    boolean savesFlagsFirst() {
        for (int i = 0; i < size(); i++) {
            if (live[i] == 0) {
                return false;
            }
            if (vectors || x87) {
                return true;
            }
            Instruction in = instructions.get(i);
            switch (ways[i]) {
                case NOTHING, LEA, MOVE_CONSTANT, BYTE_SWAP -> {}
                case INTERPRETED, PUSH, POP, LEAVE, CALL, RETURN -> {
                    return true;
                }
                case SAME -> {
                    if (in.memory) {
                        return true;
                    }
                    if ((Flags.read(in) | Flags.written(in)) != 0) {
                        return false;
                    }
                }
                default -> {
                    return false;
                }
            }
        }
        return !inPage(rip + length());
    }

    private static int liveBefore(Instruction in, Selection.Way way, int after) {
        return way == Selection.Way.INTERPRETED ? Flags.ALL : after & ~Flags.replaced(in) | Flags.read(in);
    }

    /** Flags that code at an address may read before it replaces them. */
    private int liveAt(long address) {
        int offset = (int) address & 0xfff;
        if (!inPage(address)) {
            return Flags.ALL;
        }
        int end = offset + decoded.applyAsInt(offset);
        Instruction in = new Instruction();
        int unknown = Flags.ALL;
        int read = 0;
        for (int i = 0; i < LOOK_AHEAD && unknown != 0; i++) {
            if (!decode(offset, end, in)) {
                break;
            }
            Selection.Way way = select(in);
            if (way == Selection.Way.INTERPRETED) {
                break;
            }
            read |= unknown & Flags.read(in);
            unknown &= ~Flags.replaced(in) & ~read;
            offset += in.length;
            if (ENDS.contains(way)) {
                break;
            }
        }
        return read | unknown;
    }
}
