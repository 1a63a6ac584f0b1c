package org.torte.hypervisor.software.translator;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.function.IntUnaryOperator;
import org.jspecify.annotations.Nullable;
import org.torte.hypervisor.x86.Instruction;

/**
 * The translated code of one partition, shared by its processors. Code is only ever added; when the memory is used up,
 * {@link #reset} drops all of it, for which every processor must have left, and a new epoch begins. Methods are safe for
 * several threads unless they say otherwise.
 */
@SuppressWarnings("restricted") // calls machine code that it has written
public final class Translator implements AutoCloseable {
    /** Bytes of address space for code. */
    public static final int DEFAULT_SIZE = 96 << 20;

    /** Fraction bits of the ticks per nanosecond that {@link StateArea#setTime} takes. */
    public static final int TICKS_SHIFT = 56;

    private static final MethodHandle ENTER =
            Linker.nativeLinker().downcallHandle(FunctionDescriptor.of(JAVA_LONG, JAVA_LONG, JAVA_LONG));

    /** More than any block needs: 64 instructions, each below 200 bytes hot, with at most five stubs; and IRET, once. */
    private static final int LARGEST_BLOCK = 64 << 10;

    /** Most bytes that cold code takes at once. */
    private static final int LARGEST_PIECE = 1 << 20;

    private final CodeMemory memory;
    private final Selection selection;
    private final Trampolines trampolines;

    /** The address of clock_gettime; 0: code cannot read the clock. */
    final long clock;

    private final MemorySegment entry;

    // Where a block is written before it is copied into the code memory, used again and again.
    private final Assembler hot = new Assembler();
    private final Assembler cold = new Assembler();

    // Hot code grows from the start of the memory; cold code gets pieces of it from the end, each filled upwards.
    private final int hotStart;
    private final int piece;
    private final List<StateArea> areas = new ArrayList<>();
    private int hotEnd;
    private int coldPiece;
    private int coldEnd;
    private long coldBytes;
    private volatile Translation[] translations = new Translation[1024];
    private int count;

    /** Groups of slots that hot blocks use so far. */
    private int groups;

    private volatile int epoch;
    private volatile boolean full;

    // ---- statistics

    private long instructions;
    private long translated;
    private long invalidated;
    private long resets;

    private Translator(CodeMemory memory, HostFeatures host) {
        this.memory = memory;
        selection = new Selection(host);
        Assembler assembler = new Assembler();
        assembler.begin(0);
        clock = HostClock.function();
        trampolines = new Trampolines(assembler, host.avx(), clock);
        assembler.writeTo(memory);
        entry = MemorySegment.ofAddress(memory.address(trampolines.entry));
        hotStart = assembler.length() + 15 & -16;
        piece = Math.clamp(memory.size() >> 4, 2 * LARGEST_BLOCK, LARGEST_PIECE);
        hotEnd = hotStart;
        coldPiece = memory.size() - piece;
        coldEnd = coldPiece;
    }

    /** One with so many bytes for code, or null where the host has no executable memory or an unsuitable processor. */
    public static @Nullable Translator create(int size) {
        if (!isHostX64()) {
            return null;
        }
        HostFeatures host = HostFeatures.read();
        CodeMemory memory = host.missing().isEmpty() ? CodeMemory.map(size) : null;
        return memory == null ? null : new Translator(memory, host);
    }

    private static boolean isHostX64() {
        return System.getProperty("os.arch", "").equals("amd64");
    }

    /** Why {@link #create} has made none, as the end of a sentence. */
    public static String obstacle() {
        if (!isHostX64()) {
            return "this host's processors are not x86-64";
        }
        Set<String> missing = HostFeatures.read().missing();
        return missing.isEmpty()
                ? "this host does not allow executable memory"
                : "this host's processors have no " + String.join(", ", missing);
    }

    /** Tells of a state from which code of this translator will be entered. Before any processor runs. */
    public synchronized void register(StateArea area) {
        areas.add(area);
    }

    // ---- translating

    /**
     * Translates a block of 64-bit code.
     *
     * @param page the 4096 bytes of its page, for an instruction that goes on into the next one 15 more
     * @param rip the linear address of its first instruction
     * @param parts how many instructions it has at most, and how many the blocks behind it have, each behind the one before;
     *     all of them have been decoded before
     * @param filter what this virtual processor executes instead of instructions that it does not have
     * @param decoded how many bytes from this offset of the page on have been decoded before as one block, and are still as in {@code page}; or 0
     * @param profile what is known about the block
     * @param next other translations of the same block
     * @return null when there is nothing to translate, or no memory left, which {@link #isFull} tells apart
     */
    public synchronized @Nullable Translation translate(
            byte[] page,
            long rip,
            int[] parts,
            java.util.function.Consumer<Instruction> filter,
            IntUnaryOperator decoded,
            Profile profile,
            @Nullable Translation next) {
        if (!findRoom()) {
            full = true;
            return null;
        }
        GuestBlock block = new GuestBlock(page, rip, parts, selection, filter::accept, decoded);
        if (block.size() == 0 || block.size() == 1 && block.ways[0] == Selection.Way.INTERPRETED) {
            return null;
        }
        hot.begin(hotEnd);
        cold.begin(coldEnd);
        BlockTranslator translator = new BlockTranslator(trampolines, hot, cold, block, count, profile, groups);
        translator.translate();
        hot.writeTo(memory);
        cold.writeTo(memory);
        Translation made = new Translation(
                this,
                rip,
                next,
                epoch,
                hotEnd,
                hot.length(),
                translator.chained,
                translator.entry,
                translator.entryByState,
                translator.invalid,
                block.straddles,
                block.usesVectors(),
                block.usesX87(),
                profile.hot(),
                block.interpreted());
        hotEnd = hotEnd + hot.length() + 15 & -16;
        coldEnd += cold.length();
        coldBytes += cold.length();
        groups = (groups + translator.groups()) % MemoryAccess.GROUPS;
        Translation[] all = translations;
        if (count == all.length) {
            all = Arrays.copyOf(all, 2 * count);
        }
        all[count++] = made;
        translations = all;
        instructions += block.size();
        translated++;
        return made;
    }

    /** Whether there is room for the hot and the cold code of any block; takes a new piece for the latter where need be. */
    private boolean findRoom() {
        if (coldEnd + LARGEST_BLOCK > coldPiece + piece && hotEnd + LARGEST_BLOCK <= coldPiece - piece) {
            coldPiece -= piece;
            coldEnd = coldPiece;
        }
        return hotEnd + LARGEST_BLOCK <= coldPiece && coldEnd + LARGEST_BLOCK <= coldPiece + piece;
    }

    /** Whether a translation may still be entered. */
    public boolean isValid(Translation translation) {
        return translation.epoch == epoch && !translation.dead;
    }

    /** Whether the code of a translation is still there, so that it may go on where it was left, valid or not. */
    public boolean holds(Translation translation) {
        return translation.epoch == epoch;
    }

    /** Whether there is no memory left for code. */
    public boolean isFull() {
        return full;
    }

    /** Drops all code. Only while no processor executes any, nor is about to go on in the middle of some. */
    public synchronized void reset() {
        epoch++;
        full = false;
        hotEnd = hotStart;
        coldPiece = memory.size() - piece;
        coldEnd = coldPiece;
        coldBytes = 0;
        count = 0;
        resets++;
        areas.forEach(StateArea::flushJumps);
    }

    /** As {@link Translation#invalidate}. */
    synchronized void invalidate(Translation translation) {
        if (!isValid(translation)) {
            return;
        }
        translation.dead = true;
        invalidated++;
        jumpAtEntry(translation, translation.invalidStub);
    }

    /** Puts a translation in the place of another one at the same address, which is entered no more. Any thread. */
    public synchronized void replace(Translation old, Translation by) {
        if (isValid(old) && isValid(by)) {
            old.dead = true;
            jumpAtEntry(old, old.flagsInState() ? by.entryByState : by.flagsInState() ? by.chained : by.entry);
        }
    }

    private void jumpAtEntry(Translation from, int to) {
        int at = from.entry;
        long jump = 0xe9L | (long) (to - at - 5) << 8 & 0xff_ffff_ff00L;
        memory.patchLong(at, memory.readLong(at) & -1L << 40 | jump);
    }

    /** Makes the jump of a CHAIN site go straight to a translation in the same page. */
    public synchronized void chain(Site site, Translation from, Translation to) {
        if (isValid(from) && isValid(to)) {
            memory.patchInt(site.resume, to.chained - site.resume - 4);
        }
    }

    // ---- executing

    /** Lets code find a translation by its instruction pointer; {@code local} when a page of it is not global. */
    public void remember(StateArea area, Translation translation, boolean local) {
        area.putJump(translation.rip, memory.address(translation.entryByState), local);
    }

    /** The translation that a site belongs to. */
    public Translation translation(Site site) {
        return translations[site.translation];
    }

    /** Where a translation begins, for {@link #enter}. */
    public int start(Translation translation) {
        return translation.entry;
    }

    /** Executes code at this offset until it leaves, and says where that was; returns the area it was left with. */
    public StateArea enter(int offset, StateArea area, Site site) {
        area.settle();
        long address;
        try {
            address = (long) ENTER.invokeExact(entry, memory.address(offset), area.address());
        } catch (Throwable e) {
            throw new AssertionError(e);
        }
        StateArea left = address == area.address() ? area : area.at(address);
        site.read(memory, memory.offset(left.site()));
        return left;
    }

    // ---- looking at it

    /** Whether code may call what lies at this offset. */
    boolean isRoutine(int offset) {
        return offset == trampolines.crossings.copy || offset == trampolines.time.entry;
    }

    /** The host code of the routine that reads the time-stamp counter. */
    byte[] timeRoutine() {
        return memory.read(trampolines.time.entry, trampolines.time.end - trampolines.time.entry);
    }

    /** The host code of a translation, and where it lies. */
    public synchronized byte[] hostCode(Translation translation) {
        return memory.read(translation.hot, translation.hotLength);
    }

    /** Guest instructions translated so far. */
    public synchronized long translatedInstructions() {
        return instructions;
    }

    /** Blocks translated so far. */
    public synchronized long translatedBlocks() {
        return translated;
    }

    /** Translations dropped because their code had changed. */
    public synchronized long invalidatedBlocks() {
        return invalidated;
    }

    /** How often all code was dropped. */
    public synchronized long resets() {
        return resets;
    }

    /** Bytes of hot and cold code now. */
    public synchronized long codeBytes() {
        return hotEnd - hotStart + coldBytes;
    }

    /** Gives the code memory back. No processor may run any more. */
    @Override
    public synchronized void close() {
        memory.unmap();
    }
}
