package org.torte.worker;

import static org.torte.hypervisor.CpuState.CS;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import org.torte.base.GuestMemory;
import org.torte.hypervisor.CpuState;
import org.torte.hypervisor.LastSteps;
import org.torte.hypervisor.x86.Decoder;
import org.torte.hypervisor.x86.Disassembler;
import org.torte.hypervisor.x86.Form;
import org.torte.hypervisor.x86.Instruction;

/**
 * Code of a standing guest as a processor sees it, for crash reports. What lies before an address cannot be known for
 * sure: it takes the longest run of instructions that leads exactly there.
 */
final class GuestCode {
    private static final int BEFORE_BYTES = 40;
    private static final int AFTER = 4;
    private static final int EXECUTED = 24;
    /** Of a block of translated code, which may have been left in the middle or gone round many times. */
    private static final int LEFT = 6;

    private static final String TRANSLATED = "   translated code, of which only the end is known:";
    private static final int MAX_LENGTH = 15;

    private static final long CR0_PG = 1L << 31;
    private static final long CR4_PAE = 1 << 5, CR4_LA57 = 1 << 12;
    private static final long EFER_LMA = 1 << 10;
    private static final long PRESENT = 1, LARGE = 1 << 7;
    private static final long ADDRESS = 0x000f_ffff_ffff_f000L;

    private final CpuState state;
    private final GuestMemory memory;
    private final int mode;

    GuestCode(CpuState state, GuestMemory memory) {
        this.state = state;
        this.memory = memory;
        int attributes = state.segments[CS].attributes();
        boolean wide = (state.efer & EFER_LMA) != 0 && (attributes & 1 << 13) != 0;
        mode = wide ? 64 : (attributes & 1 << 14) != 0 ? 32 : 16;
    }

    /** The instructions around the instruction pointer, a line each, that one marked. */
    List<String> around() {
        List<String> lines = new ArrayList<>();
        for (int back = BEFORE_BYTES; back > 0; back--) {
            List<String> before = run(state.rip - back, state.rip);
            if (!before.isEmpty()) {
                lines.addAll(before);
                break;
            }
        }
        lines.addAll(next());
        return lines;
    }

    /** The instructions that were executed last, as memory holds them now, and those that would have come next. */
    List<String> executed(List<LastSteps.Run> runs) {
        List<String> lines = new ArrayList<>();
        long begun = -1;
        long end = -1;
        for (LastSteps.Run run : runs) {
            long at = run.address();
            List<String> of = new ArrayList<>();
            while (at - run.address() < run.length()) {
                Instruction instruction = decode(at, run.mode());
                if (instruction == null) {
                    of.add(unreadable("  ", at));
                    break;
                }
                of.add(line("  ", at, instruction, run.mode()));
                begun = at;
                at += instruction.length;
            }
            if (run.translated()) {
                lines.add("");
                lines.add(TRANSLATED);
                of = of.subList(Math.max(0, of.size() - LEFT), of.size());
            } else {
                gap(lines, end, run.address());
            }
            lines.addAll(of);
            end = at;
        }
        if (begun == state.rip) {
            // It faulted, and is shown as the one to come.
            lines.removeLast();
        } else {
            gap(lines, end, state.rip);
        }
        List<String> last = new ArrayList<>(lines.subList(Math.max(0, lines.size() - EXECUTED), lines.size()));
        last.addAll(next());
        return last;
    }

    private static void gap(List<String> lines, long end, long next) {
        if (end != next && !lines.isEmpty()) {
            lines.add("");
        }
    }

    private List<String> next() {
        List<String> lines = new ArrayList<>();
        long at = state.rip;
        for (int i = 0; i < AFTER; i++) {
            String mark = i == 0 ? "=>" : "  ";
            Instruction instruction = decode(at, mode);
            if (instruction == null) {
                lines.add(unreadable(mark, at));
                break;
            }
            lines.add(line(mark, at, instruction, mode));
            at += instruction.length;
        }
        return lines;
    }

    private static String unreadable(String mark, long at) {
        return String.format(Locale.ROOT, "%s %016x  (no code is mapped here, or none that is valid)", mark, at);
    }

    /** The instructions from {@code start} on, if they end exactly at {@code end}; otherwise none. */
    private List<String> run(long start, long end) {
        List<String> lines = new ArrayList<>();
        long at = start;
        while (end - at > 0) {
            Instruction instruction = decode(at, mode);
            if (instruction == null) {
                return List.of();
            }
            lines.add(line("  ", at, instruction, mode));
            at += instruction.length;
        }
        return at == end ? lines : List.of();
    }

    private static String line(String mark, long at, Instruction instruction, int codeMode) {
        return String.format(Locale.ROOT, "%s %016x  %s", mark, at, Disassembler.text(instruction, codeMode, at));
    }

    private @Nullable Instruction decode(long at, int codeMode) {
        Instruction instruction = new Instruction();
        try {
            int length = Decoder.decode(offset -> fetch(at + offset), codeMode, instruction);
            return length < 1 || length > MAX_LENGTH || instruction.form == Form.INVALID ? null : instruction;
        } catch (Unmapped e) {
            return null;
        }
    }

    private int fetch(long offset) {
        long linear = mode == 64 ? offset : state.segments[CS].base() + offset & 0xffff_ffffL;
        long physical = translate(linear);
        return memory.getByte(physical);
    }

    /** Walks the page tables (AMD APM vol. 2, 5.2 and 5.3), for reading and with no regard to rights. */
    private long translate(long linear) {
        if ((state.cr0 & CR0_PG) == 0) {
            return require(linear);
        }
        int levels =
                (state.efer & EFER_LMA) != 0 ? (state.cr4 & CR4_LA57) != 0 ? 5 : 4 : (state.cr4 & CR4_PAE) != 0 ? 3 : 2;
        int bits = levels == 2 ? 10 : 9;
        long table = state.cr3 & (levels == 3 ? 0xffff_ffe0L : levels == 2 ? 0xffff_f000L : ADDRESS);
        for (int level = levels; level > 0; level--) {
            int shift = 12 + bits * (level - 1);
            long index = linear >>> shift & (1 << bits) - 1;
            if (levels == 3 && level == 3) {
                index &= 3;
            }
            long entry = levels == 2
                    ? memory.getInt(require(table + index * 4)) & 0xffff_ffffL
                    : memory.getLong(require(table + index * 8));
            if ((entry & PRESENT) == 0) {
                throw new Unmapped();
            }
            long offset = (1L << shift) - 1;
            if (level == 1 || (entry & LARGE) != 0 && level <= 3 && !(levels == 3 && level == 3)) {
                return require(entry & ADDRESS & ~offset | linear & offset);
            }
            table = entry & ADDRESS;
        }
        throw new Unmapped();
    }

    private long require(long physical) {
        if (!memory.contains(physical, 8)) {
            throw new Unmapped();
        }
        return physical;
    }

    /** There is no code at an address. */
    private static final class Unmapped extends RuntimeException {
        private static final long serialVersionUID = 1L;

        Unmapped() {
            super(null, null, false, false);
        }
    }
}
