package org.torte.hypervisor.software.translator;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.TreeSet;
import org.torte.hypervisor.x86.Decoder;
import org.torte.hypervisor.x86.Disassembler;
import org.torte.hypervisor.x86.Instruction;
import org.torte.hypervisor.x86.Operand;

/** Guest code beside what is emitted for it, for those who work on the translator. */
public final class Listing {
    private static final int PAGE = 0x1000, LARGEST_BLOCK = 64, LEFT = 44;

    private static final Profile HOT = new Profile(true, 0);

    private final byte[] page;
    private final long base;
    private final int end;
    private final Selection selection;
    private final Trampolines trampolines;
    private final List<String> lines = new ArrayList<>();
    private final TreeSet<Integer> starts = new TreeSet<>();

    private Listing(byte[] page, long base, int end) {
        this.page = page;
        this.base = base;
        this.end = end;
        HostFeatures host = HostFeatures.read();
        selection = new Selection(host);
        Assembler assembler = new Assembler();
        assembler.begin(0);
        trampolines = new Trampolines(assembler, host.avx(), HostClock.function());
    }

    /**
     * The blocks of a piece of 64-bit code as lines of text: each that begins at its start, behind another one, or where a
     * direct branch in it leads, each guest instruction with the host's to the right of it. Cold code is only counted. All of
     * the piece counts as decoded before, so that flags which a successor replaces are dead, and as hot.
     *
     * @param code up to 4096 bytes
     * @param address of the first byte; all must lie in one page
     */
    public static List<String> of(byte[] code, long address) {
        int start = (int) address & PAGE - 1;
        if (start + code.length > PAGE) {
            throw new IllegalArgumentException("the code must lie in one page of 4096 bytes");
        }
        byte[] page = new byte[PAGE];
        System.arraycopy(code, 0, page, start, code.length);
        Listing listing = new Listing(page, address - start, start + code.length);
        listing.starts.add(start);
        // Blocks may lead back, so all starts are found before the first is listed.
        for (Integer at = start; at != null; at = listing.starts.higher(at)) {
            listing.addSuccessors(listing.block(at));
        }
        for (int at : listing.starts) {
            listing.add(listing.block(at));
        }
        return listing.lines;
    }

    private GuestBlock block(int offset) {
        GuestBlock all = block(offset, LARGEST_BLOCK);
        for (int i = 0; i < all.size(); i++) {
            if (GuestBlock.ends(all.ways[i]) || offset + all.offsets[i + 1] >= end) {
                return block(offset, i + 1);
            }
        }
        return all;
    }

    private GuestBlock block(int offset, int count) {
        return new GuestBlock(page, base + offset, new int[] {count}, selection, in -> {}, at -> PAGE - at);
    }

    private void addSuccessors(GuestBlock block) {
        if (block.size() == 0) {
            return;
        }
        addStart(block.rip + block.length());
        Instruction last = block.instructions.getLast();
        boolean direct = last.form.operandCount() > 0 && last.form.operand(0).kind() == Operand.Kind.RELATIVE;
        if (direct) {
            addStart(block.target());
        }
    }

    private void addStart(long address) {
        long offset = address - base;
        if (offset >= 0 && offset < end) {
            starts.add((int) offset);
        }
    }

    private void add(GuestBlock block) {
        if (block.size() == 0) {
            return;
        }
        Assembler written = new Assembler();
        written.begin(PAGE);
        Assembler cold = new Assembler();
        cold.begin(16 * PAGE);
        BlockTranslator translator = new BlockTranslator(trampolines, written, cold, block, 0, HOT, 0);
        translator.translate();
        byte[] hot = written.bytes();
        lines.add("%x: %d instructions, %d bytes hot, %d cold"
                .formatted(block.rip, block.size(), hot.length, cold.length()));
        addHost("", hot, 0, translator.starts[0] - PAGE);
        for (int i = 0; i < block.size(); i++) {
            String text = Disassembler.text(block.instructions.get(i), 64, block.rip + block.offsets[i]);
            if (block.ways[i] == Selection.Way.INTERPRETED) {
                text += " (interpreted)";
            }
            addHost(text, hot, translator.starts[i] - PAGE, translator.starts[i + 1] - PAGE);
        }
        addHost("", hot, translator.starts[block.size()] - PAGE, hot.length);
        lines.add("");
    }

    /** The host's instructions from one offset to another, the first beside {@code text}. */
    private void addHost(String text, byte[] hot, int from, int to) {
        String left = text;
        int at = from;
        while (at < to) {
            byte[] rest = Arrays.copyOfRange(hot, at, hot.length);
            Instruction in = new Instruction();
            Decoder.decode(i -> i < rest.length ? rest[i] & 0xff : 0, 64, in);
            lines.add(
                    "  " + left + " ".repeat(Math.max(1, LEFT - left.length())) + Disassembler.text(in, 64, PAGE + at));
            at += in.length;
            left = "";
        }
        if (!left.isEmpty()) {
            lines.add("  " + left);
        }
    }
}
