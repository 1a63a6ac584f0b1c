package org.torte.hypervisor.software;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import java.lang.invoke.VarHandle;
import org.jspecify.annotations.Nullable;
import org.torte.hypervisor.software.translator.Site;
import org.torte.hypervisor.software.translator.StateArea;
import org.torte.hypervisor.software.translator.Translation;
import org.torte.hypervisor.software.translator.Translator;
import org.torte.hypervisor.x86.Instruction;

/**
 * Runs translated code for one processor and answers its exits: fills the soft TLB, chains jumps, translates blocks that
 * have become hot, and hands single instructions to the interpreter, after which the code goes on where it was. Used by
 * the processor's thread alone.
 */
final class TranslatedCode {
    /** How often a block is interpreted before it is worth translating. */
    static final int HOT = 40;

    /** Instructions after which code leaves to look for events: some ten microseconds. */
    private static final int BUDGET = 20_000;

    /** The heat of a block that cannot be translated. */
    private static final int NEVER = Integer.MIN_VALUE;

    /** Linear addresses at which one block may have translations. */
    private static final int ADDRESSES = 16;

    /** All exceptions masked. */
    private static final int MXCSR_MASKS = 0x1f80;

    private final Cpu cpu;
    private final Mmu mmu;
    private final PhysicalMemory memory;
    private final Rendezvous rendezvous;
    private final Executor executor;
    private final BlockBuilder builder;
    private final Translator translator;
    private final int threshold;
    private final Site site = new Site();

    /** Instructions executed in translated code. */
    long executed;

    /** How often code was left, by the kinds of {@link Site}. */
    final long[] exits = new long[Site.KINDS];

    /** Whether {@link #resume} is to be called when the interpreter has executed the block it was given. */
    boolean resuming;

    /** Whether the code that executes now may use XMM registers. */
    private boolean vectors;

    /** The system flags that the code which executes now has begun with. */
    private int system;

    /** How often in a row a page was filled in for the code there, without progress. */
    private int fills;

    private int filledFor;
    private int resumeAt;
    private int resumeUncounted;
    private long resumeRip;
    private @Nullable Translation resumeIn;

    /** Translates blocks that are come upon for the {@code threshold}th time. */
    TranslatedCode(
            Cpu cpu,
            PhysicalMemory memory,
            Rendezvous rendezvous,
            Executor executor,
            BlockBuilder builder,
            Translator translator,
            int threshold) {
        this.cpu = cpu;
        this.mmu = cpu.mmu;
        this.memory = memory;
        this.rendezvous = rendezvous;
        this.executor = executor;
        this.builder = builder;
        this.translator = translator;
        this.threshold = threshold;
        for (StateArea area : mmu.createAreas()) {
            translator.register(area);
        }
    }

    /** Whether it is time to call {@link #run} for a block that is about to be interpreted. */
    boolean isHot(Block block) {
        return ++block.heat >= threshold;
    }

    /**
     * Executes a hot block at an instruction pointer and what follows, as far as it is translated.
     *
     * @return the block to be interpreted next, at {@link Cpu#rip}, or {@link Block#NONE} when an event is due
     * @throws GuestFault in fetching at {@link Cpu#rip}
     */
    Block run(Block block, long rip) {
        cpu.rip = rip;
        StateArea area = usableArea();
        if (area == null) {
            return block;
        }
        Translation translation = translation(block, rip);
        if (translation == null) {
            return block;
        }
        remember(area, translation);
        load(area);
        return execute(area, translator.start(translation));
    }

    /** Goes on at an instruction pointer after the interpreter has executed one instruction; otherwise as {@link #run}. */
    Block resume(long rip) {
        resuming = false;
        cpu.rip = rip;
        cpu.r[Cpu.START] = rip;
        Translation in = resumeIn;
        StateArea area = usableArea();
        // The instruction may have changed what XMM registers may be used for.
        if (resumeAt != 0
                && rip == resumeRip
                && in != null
                && translator.isValid(in)
                && area != null
                && (!in.usesVectors || vectorsUsable())) {
            executed -= resumeUncounted;
            load(area);
            return execute(area, resumeAt);
        }
        Block block = builder.lookUp(rip);
        return isHot(block) ? run(block, rip) : block;
    }

    /** The state for the current mode and privilege, or null when everything has to be interpreted. */
    private @Nullable StateArea usableArea() {
        return cpu.mode == Cpu.MODE_64 ? mmu.area() : null;
    }

    private boolean vectorsUsable() {
        return (cpu.cr0 & (Cpu.CR0_EM | Cpu.CR0_TS)) == 0
                && (cpu.cr4 & Cpu.CR4_OSFXSR) != 0
                && (cpu.fpu.mxcsr & MXCSR_MASKS) == MXCSR_MASKS;
    }

    private void load(StateArea area) {
        loadGeneral(area);
        vectors = vectorsUsable();
        area.setVectors(vectors);
        area.loadVectors(cpu.fpu.xmm, cpu.fpu.mxcsr | MXCSR_MASKS);
    }

    private void loadGeneral(StateArea area) {
        area.loadGeneral(cpu.r, cpu.r[Cpu.BASE + Cpu.FS], cpu.r[Cpu.BASE + Cpu.GS]);
        area.loadSelectors(cpu.selector);
        area.setFlags(cpu.alu.flags());
        system = cpu.systemFlags | (cpu.cpl > cpu.iopl() ? StateArea.RESTRICTED : 0);
        area.setSystem(system);
    }

    private void store(StateArea area, long rip) {
        storeGeneral(area, rip);
        storeVectors(area);
    }

    private void storeGeneral(StateArea area, long rip) {
        area.storeGeneral(cpu.r);
        cpu.alu.setFlags(area.flags());
        cpu.rip = rip;
        cpu.r[Cpu.START] = rip;
    }

    private void storeVectors(StateArea area) {
        if (vectors) {
            area.storeVectors(cpu.fpu.xmm);
            cpu.fpu.mxcsr = area.mxcsr();
        }
    }

    private Block execute(StateArea first, int start) {
        StateArea area = first;
        int at = start;
        while (true) {
            area.setBudget(BUDGET);
            translator.enter(at, area, site);
            int flags = area.system();
            if (flags != system) {
                system = flags;
                cpu.setSystemFlags(flags);
            }
            Translation from = translator.translation(site);
            executed += BUDGET - area.budget() + site.uncounted;
            exits[site.kind]++;
            switch (site.kind) {
                case Site.CHAIN, Site.JUMP -> {
                    long rip = site.target;
                    Block block;
                    Translation to;
                    if (cpu.events.due()) {
                        store(area, rip);
                        return Block.NONE;
                    }
                    try {
                        block = builder.lookUp(rip);
                        to = isHot(block) ? translation(block, rip) : null;
                    } catch (GuestFault f) {
                        store(area, rip);
                        throw f;
                    }
                    if (to == null) {
                        store(area, rip);
                        return block;
                    }
                    if (site.kind == Site.CHAIN) {
                        translator.chain(site, from, to);
                    } else {
                        remember(area, to);
                    }
                    at = translator.start(to);
                }
                case Site.VECTORS -> {
                    store(area, site.target);
                    return builder.lookUp(site.target);
                }
                case Site.LOST -> {
                    if (cpu.events.due() || !find(area, area.missing())) {
                        return interpret(area, from);
                    }
                    executed -= site.uncounted;
                    at = site.resume;
                }
                case Site.BUDGET -> {
                    if (cpu.events.due()) {
                        store(area, from.rip + site.offset);
                        return Block.NONE;
                    }
                    executed -= site.uncounted;
                    at = site.resume;
                }
                case Site.INTERPRET -> {
                    Instruction in = from.instruction(site);
                    if (in == null || !translator.isValid(from)) {
                        return interpret(area, from);
                    }
                    Block stop = perform(in, area, from.rip + site.offset);
                    if (stop != null) {
                        return stop;
                    }
                    // In the same code, or wherever the instruction has led to.
                    StateArea now = usableArea();
                    long rip = cpu.rip;
                    boolean onward = site.next != 0
                            && rip == from.rip + site.offset + in.length
                            && translator.isValid(from)
                            && (!from.usesVectors || vectorsUsable());
                    if (onward && now == area) {
                        executed -= site.uncounted;
                        at = site.next;
                        if (keepsVectors(in)) {
                            loadGeneral(area);
                        } else {
                            load(area);
                        }
                        continue;
                    }
                    if (keepsVectors(in)) {
                        storeVectors(area);
                    }
                    executed++;
                    cpu.r[Cpu.START] = rip;
                    Block block = builder.lookUp(rip);
                    Translation to = now != null && isHot(block) ? translation(block, rip) : null;
                    if (now == null || to == null) {
                        return block;
                    }
                    remember(now, to);
                    load(now);
                    area = now;
                    at = translator.start(to);
                }
                default -> {
                    boolean filled = site.kind == Site.MISSING
                            && !fillsInVain(area)
                            && !site.isMisaligned(area.missing())
                            && mmu.fill(area.missing(), site.accessSize(), site.isStore())
                            && translator.isValid(from);
                    if (!filled) {
                        return interpret(area, from);
                    }
                    executed -= site.uncounted;
                    at = site.resume;
                }
            }
        }
    }

    /**
     * Whether the instruction has missed so often in a row that its operands must be putting each other out of the soft
     * TLB.
     */
    private boolean fillsInVain(StateArea area) {
        boolean again = site.resume == filledFor && area.budget() == BUDGET;
        fills = again ? fills + 1 : 1;
        filledFor = site.resume;
        return fills > 2;
    }

    /**
     * Executes the instruction at {@code rip} by itself; {@link #storeVectors} is due if it {@link #keepsVectors} and
     * null is returned.
     *
     * @return what is to be returned because an event is due, or null
     */
    private @Nullable Block perform(Instruction in, StateArea area, long rip) {
        storeGeneral(area, rip);
        boolean kept = keepsVectors(in);
        if (!kept) {
            storeVectors(area);
        }
        try {
            executor.execute(in);
        } catch (GuestFault f) {
            if (kept) {
                storeVectors(area);
            }
            throw f;
        }
        if (!cpu.events.due()) {
            return null;
        }
        if (kept) {
            storeVectors(area);
        }
        executed++;
        return Block.NONE;
    }

    /** Whether an instruction leaves XMM registers, and whether they may be used, alone; only frequent ones are known. */
    private static boolean keepsVectors(Instruction in) {
        return switch (in.form.operation()) {
            case MOVS,
                    STOS,
                    LODS,
                    CMPS,
                    SCAS,
                    POPF,
                    IRET,
                    CLI,
                    STI,
                    RDTSC,
                    RDTSCP,
                    SWAPGS,
                    RDMSR,
                    WRMSR,
                    CLAC,
                    STAC,
                    RDFSBASE,
                    RDGSBASE,
                    WRFSBASE,
                    WRGSBASE,
                    CPUID,
                    SYSCALL,
                    SYSRET,
                    INVLPG,
                    PAUSE,
                    HLT,
                    MOV_TO_SREG,
                    MOV_FROM_SREG,
                    DIV,
                    IDIV,
                    IN,
                    OUT -> true;
            default -> false;
        };
    }

    /** Puts the translation at an indirect branch's target into the jump cache, if there is one by now. */
    private boolean find(StateArea area, long target) {
        if (target << 16 >> 16 != target) {
            return false;
        }
        try {
            Block block = builder.lookUp(target);
            Translation translation = block.heat >= threshold ? translation(block, target) : null;
            if (translation != null) {
                remember(area, translation);
            }
            return translation != null && translator.isValid(translator.translation(site));
        } catch (GuestFault f) {
            return false; // comes up again, exactly, when the branch has been interpreted
        }
    }

    private void remember(StateArea area, Translation translation) {
        translator.remember(area, translation, mmu.isLocal(translation.rip));
    }

    /** Gives the instruction of the site to the interpreter. */
    private Block interpret(StateArea area, Translation from) {
        long rip = from.rip + site.offset;
        store(area, rip);
        Block block = builder.find(rip, cpu.mode | Cpu.MODE_SINGLE);
        resuming = true;
        resumeAt = site.next;
        resumeUncounted = site.uncounted + 1;
        resumeRip = rip + block.length;
        resumeIn = from;
        return block;
    }

    /** The translation of a block at an address, made if there is none; null when it cannot be translated. */
    private @Nullable Translation translation(Block block, long rip) {
        int others = 0;
        for (Translation t = block.translation; t != null; t = t.next) {
            if (t.rip == rip && translator.isValid(t)) {
                return t;
            }
            others++;
        }
        if (!block.linkable || block.mode != Cpu.MODE_64) {
            block.heat = NEVER;
            return null;
        }
        if (others >= ADDRESSES) {
            block.dropTranslations();
        }
        Translation made = translate(block, rip);
        if (made == null && translator.isFull()) {
            rendezvous.exclusively(cpu, () -> {
                if (translator.isFull()) {
                    translator.reset();
                }
            });
            made = translate(block, rip);
        }
        if (made == null) {
            block.heat = NEVER;
            return null;
        }
        block.translation = made;
        // Whoever writes to the page marks the block, then looks for translations; here it is the other way round.
        VarHandle.fullFence();
        if (block.dead) {
            made.invalidate();
        }
        return made;
    }

    private @Nullable Translation translate(Block block, long rip) {
        long page = mmu.translateFetch(rip) & ~0xfffL;
        byte[] bytes = memory.ram.asSlice(page, 0x1000).toArray(JAVA_BYTE);
        CodePage code = memory.code.page(page);
        Translation next = block.translation;
        while (next != null && !translator.isValid(next)) {
            next = next.next;
        }
        return translator.translate(
                bytes,
                rip,
                block.instructions,
                in -> builder.applyOffered(in),
                offset -> code.find(offset, Cpu.MODE_64) != null,
                next);
    }
}
