package org.torte.hypervisor.software.translator;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import java.util.function.IntPredicate;
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
final class GuestBlock {
    private static final int LOOK_AHEAD = 8;
    private static final Set<Selection.Way> ENDS = EnumSet.of(
            Selection.Way.CALL,
            Selection.Way.RETURN,
            Selection.Way.JUMP,
            Selection.Way.CONDITIONAL_JUMP,
            Selection.Way.SYSTEM_CALL,
            Selection.Way.SYSTEM_RETURN);

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
    private final List<Integer> parts = new ArrayList<>();

    private final Selection selection;
    private final Filter filter;
    private final IntPredicate decoded;

    /**
     * @param page all bytes of the page; for an instruction that goes on into the next one so many of that as it may have
     * @param lengths how many instructions each part has at most; another one follows a conditional jump alone, and uses no
     *     registers besides the general ones that the first does not use
     * @param decoded tells whether code that begins at this offset in the page has been decoded before
     */
    GuestBlock(byte[] page, long rip, int[] lengths, Selection selection, Filter filter, IntPredicate decoded) {
        this.page = page;
        straddles = page.length > PAGE;
        this.rip = rip;
        this.selection = selection;
        this.filter = filter;
        this.decoded = decoded;
        start = (int) rip & 0xfff;
        int count = Arrays.stream(lengths).sum();
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
        boolean vectors = usesVectors();
        boolean x87 = usesX87();
        boolean whole = true;
        while (size() < first + length) {
            Instruction in = decode(start + length(), page.length);
            if (in == null) {
                whole = false;
                break;
            }
            int offset = length() + in.length;
            ways[size()] = select(in);
            instructions.add(in);
            offsets[size()] = offset;
        }
        if (first > 0 && (!vectors && usesVectors() || !x87 && usesX87())) {
            instructions.subList(first, size()).clear();
        }
        if (size() > first) {
            parts.add(size());
        }
        return whole && size() > first;
    }

    /** How many instructions there are up to the end of the part that one is in. */
    int partEnd(int instruction) {
        for (int end : parts) {
            if (instruction < end) {
                return end;
            }
        }
        return size();
    }

    /** How many instructions. */
    int size() {
        return instructions.size();
    }

    /** The instructions that may have to be interpreted where the code says so; null for others. */
    @Nullable
    Instruction[] interpreted() {
        @Nullable Instruction[] those = new Instruction[size()];
        for (int i = 0; i < those.length; i++) {
            switch (ways[i]) {
                case INTERPRETED,
                        DIVISION,
                        CLEAR_FLAG,
                        REPEATED_STRING,
                        SET_INTERRUPTS,
                        SYSTEM_CALL,
                        SYSTEM_RETURN,
                        USER_ACCESS,
                        SWAP_BASES,
                        BASE,
                        X87 -> those[i] = instructions.get(i);
                default -> {}
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
        for (int i = 0; i < size(); i++) {
            if (ways[i] == Selection.Way.SAME && Selection.usesVectors(instructions.get(i).form)) {
                return true;
            }
        }
        return false;
    }

    /** Whether it has instructions of the x87 that are not interpreted. */
    boolean usesX87() {
        return Arrays.asList(ways).subList(0, size()).contains(Selection.Way.X87);
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

    /** The instruction at an offset in the page, or null if it reaches beyond {@code end} or cannot be translated at all. */
    private @Nullable Instruction decode(int at, int end) {
        Instruction in = new Instruction();
        boolean[] beyond = new boolean[1];
        CodeSource source = offset -> {
            if (at + offset >= end) {
                beyond[0] = true;
                return 0;
            }
            return page[at + offset] & 0xff;
        };
        int length = Decoder.decode(source, 64, in);
        return beyond[0] || length == Decoder.TOO_LONG ? null : in;
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
            case RETURN, INTERPRETED, SYSTEM_CALL, SYSTEM_RETURN -> Flags.ALL;
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

    private static int liveBefore(Instruction in, Selection.Way way, int after) {
        return way == Selection.Way.INTERPRETED ? Flags.ALL : after & ~Flags.replaced(in) | Flags.read(in);
    }

    /** Flags that code at an address may read before it replaces them. */
    private int liveAt(long address) {
        int offset = (int) address & 0xfff;
        if (!inPage(address) || !decoded.test(offset)) {
            return Flags.ALL;
        }
        int unknown = Flags.ALL;
        int read = 0;
        for (int i = 0; i < LOOK_AHEAD && unknown != 0; i++) {
            Instruction in = decode(offset, PAGE);
            if (in == null || select(in) == Selection.Way.INTERPRETED) {
                break;
            }
            read |= unknown & Flags.read(in);
            unknown &= ~Flags.replaced(in) & ~read;
            offset += in.length;
            if (ENDS.contains(selection.of(in)) || offset >= PAGE) {
                break;
            }
        }
        return read | unknown;
    }
}
