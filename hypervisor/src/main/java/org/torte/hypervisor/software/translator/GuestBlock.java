package org.torte.hypervisor.software.translator;

import java.util.ArrayList;
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
 * A straight run of guest instructions within one page, decoded, with what is known about its arithmetic flags.
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

    /** All bytes of the page. */
    final byte[] page;

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

    private final Selection selection;
    private final Filter filter;
    private final IntPredicate decoded;

    /**
     * @param count how many instructions at most
     * @param decoded tells whether code that begins at this offset in the page has been decoded before
     */
    GuestBlock(byte[] page, long rip, int count, Selection selection, Filter filter, IntPredicate decoded) {
        this.page = page;
        this.rip = rip;
        this.selection = selection;
        this.filter = filter;
        this.decoded = decoded;
        start = (int) rip & 0xfff;
        int[] at = new int[count + 1];
        Selection.Way[] way = new Selection.Way[count];
        int offset = 0;
        while (instructions.size() < count) {
            Instruction in = decode(start + offset);
            if (in == null) {
                break;
            }
            way[instructions.size()] = select(in);
            instructions.add(in);
            offset += in.length;
            at[instructions.size()] = offset;
        }
        offsets = at;
        ways = way;
        live = new int[count + 1];
        if (!instructions.isEmpty()) {
            findLive();
        }
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
        return java.util.Arrays.asList(ways).contains(Selection.Way.X87);
    }

    /** The last instruction's way. */
    Selection.Way lastWay() {
        return ways[size() - 1];
    }

    /** The address that the direct jump or call at the end goes to. */
    long target() {
        return rip + length() + instructions.getLast().immediate;
    }

    boolean inPage(long address) {
        return (address ^ rip) >>> 12 == 0;
    }

    /** The instruction at an offset in the page, or null if it reaches beyond it or cannot be translated at all. */
    private @Nullable Instruction decode(int at) {
        Instruction in = new Instruction();
        boolean[] beyond = new boolean[1];
        CodeSource source = offset -> {
            if (at + offset > 0xfff) {
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
            live[i] = liveBefore(instructions.get(i), ways[i], live[i + 1]);
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
            Instruction in = decode(offset);
            if (in == null || select(in) == Selection.Way.INTERPRETED) {
                break;
            }
            read |= unknown & Flags.read(in);
            unknown &= ~Flags.replaced(in) & ~read;
            offset += in.length;
            if (ENDS.contains(selection.of(in)) || offset > 0xfff) {
                break;
            }
        }
        return read | unknown;
    }
}
