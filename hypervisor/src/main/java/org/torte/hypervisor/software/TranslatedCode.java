package org.torte.hypervisor.software;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import java.lang.foreign.MemorySegment;
import java.lang.invoke.VarHandle;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.torte.hypervisor.software.translator.Profile;
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
    static final int HOT = 16;

    /** Instructions after which code leaves to look for events: some ten microseconds. */
    static final int BUDGET = 20_000;

    /** How often code in a block is found when the budget is used up before its accesses are worth slots. */
    static final int SAMPLES = 16;

    /** Blocks that are translated as one: a hot one, and those that it leads to without a jump. */
    private static final int MAX_PARTS = 6;

    private static final int LONGEST_INSTRUCTION = 15;

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
    private final int budget;
    private final Site site = new Site();
    private final HostX87 x87;

    // Where the code that is translated is copied to, used again and again.
    private final byte[] onePage = new byte[0x1000];
    private final byte[] twoPages = new byte[0x1000 + LONGEST_INSTRUCTION];

    /** Instructions executed in translated code. */
    long executed;

    /** How often a block was translated anew because of what was learned about it. */
    long learned;

    /** How often code was left, by the kinds of {@link Site}. */
    final long[] exits = new long[Site.KINDS];

    /** Whether {@link #resume} is to be called when the interpreter has executed the block it was given. */
    boolean resuming;

    /** Whether the code that executes now may use XMM registers. */
    private boolean vectors;

    /** The state that code executes with, and where it goes on. */
    private StateArea area;

    private int at;

    /** What {@link StateArea#system} was when the code that executes now began. */
    private int system;

    // What the areas know about changes of privilege.
    private long star;
    private long lstar;
    private long sfmask;
    private long efer;
    private long cr4;
    private long gdtBase;
    private int gdtLimit;

    // What they know about the time-stamp counter.
    private long ticksAhead;
    private int processor;

    /** How often in a row a page was filled in for the code there, without progress. */
    private int fills;

    private int filledFor;
    private int resumeAt;
    private int resumeUncounted;
    private long resumeRip;
    private @Nullable Translation resumeIn;

    /** Translates blocks that are come upon for the {@code threshold}th time; leaves after {@code budget} instructions. */
    TranslatedCode(
            Cpu cpu,
            PhysicalMemory memory,
            Rendezvous rendezvous,
            Executor executor,
            BlockBuilder builder,
            Translator translator,
            int threshold,
            int budget) {
        this.cpu = cpu;
        this.mmu = cpu.mmu;
        this.memory = memory;
        this.rendezvous = rendezvous;
        this.executor = executor;
        this.builder = builder;
        this.translator = translator;
        this.threshold = threshold;
        this.budget = budget;
        List<StateArea> areas = mmu.createAreas();
        area = areas.getFirst();
        x87 = new HostX87(cpu, area.x87);
        areas.forEach(translator::register);
    }

    /** Whether it is time to call {@link #run} for a block that is about to be interpreted. */
    boolean isHot(Block block) {
        return block.heat >= threshold || ++block.heat >= threshold;
    }

    /**
     * Executes a hot block at an instruction pointer and what follows, as far as it is translated.
     *
     * @return the block to be interpreted next, at {@link Cpu#rip}, or {@link Block#NONE} when an event is due
     * @throws GuestFault in fetching at {@link Cpu#rip}
     */
    Block run(Block block, long rip) {
        cpu.rip = rip;
        StateArea now = usableArea();
        if (now == null) {
            if (block.mode != Cpu.MODE_64) {
                block.heat = NEVER;
            }
            return block;
        }
        Translation translation = translation(block, rip);
        if (translation == null) {
            return block;
        }
        load(now);
        remember(translation);
        return execute(translator.start(translation));
    }

    /** Goes on at an instruction pointer after the interpreter has executed one instruction; otherwise as {@link #run}. */
    Block resume(long rip) {
        resuming = false;
        cpu.rip = rip;
        cpu.r[Cpu.START] = rip;
        Translation in = resumeIn;
        StateArea now = usableArea();
        // The instruction may have changed what XMM registers may be used for.
        if (resumeAt != 0
                && rip == resumeRip
                && in != null
                && translator.isValid(in)
                && now != null
                && findsRegisters(in)) {
            executed -= resumeUncounted;
            load(now);
            loadX87(in);
            return execute(resumeAt);
        }
        Block block = builder.lookUp(rip);
        return isHot(block) ? run(block, rip) : block;
    }

    /** The state for the current mode and privilege, or null when everything has to be interpreted. */
    private @Nullable StateArea usableArea() {
        return cpu.mode == Cpu.MODE_64 ? mmu.area() : null;
    }

    /** Whether the registers that code uses besides the general ones may be used. */
    private boolean findsRegisters(Translation in) {
        return (!in.usesVectors || vectorsUsable()) && (!in.usesX87 || x87.usable());
    }

    /** Gives the code that goes on in a translation the x87, if it uses it. */
    private void loadX87(Translation in) {
        if (in.usesX87) {
            x87.load(area);
        }
    }

    private boolean vectorsUsable() {
        return (cpu.cr0 & (Cpu.CR0_EM | Cpu.CR0_TS)) == 0
                && (cpu.cr4 & Cpu.CR4_OSFXSR) != 0
                && (cpu.fpu.mxcsr & MXCSR_MASKS) == MXCSR_MASKS;
    }

    private void load(StateArea in) {
        loadGeneral(in);
        vectors = vectorsUsable();
        in.setVectors(vectors);
        in.loadVectors(cpu.fpu.xmm, cpu.fpu.mxcsr | MXCSR_MASKS);
    }

    /** Makes an area the one that code executes with, and gives it everything but XMM registers. */
    private void loadGeneral(StateArea in) {
        area = in;
        in.loadGeneral(cpu.r);
        in.loadBases(cpu.r[Cpu.BASE + Cpu.FS], cpu.r[Cpu.BASE + Cpu.GS], cpu.kernelGsBase);
        in.loadSelectors(cpu.selector);
        in.setFlags(cpu.alu.flags());
        system = cpu.systemFlags
                | (cpu.cpl > cpu.iopl() ? StateArea.RESTRICTED : 0)
                | (cpu.cpl > 0 ? StateArea.UNPRIVILEGED : 0)
                | ((cpu.cr4 & Cpu.CR4_FSGSBASE) == 0 ? StateArea.NO_BASES : 0)
                | (cpu.nmiBlocked ? StateArea.NMI_BLOCKED : 0)
                | (Segmentation.hasPrivilegedData(cpu) ? StateArea.PRIVILEGED_DATA : 0);
        in.setSystem(system);
        cpu.events.refresh();
        if (cpu.star != star || cpu.lstar != lstar || cpu.sfmask != sfmask || cpu.efer != efer || cpu.cr4 != cr4) {
            findCrossings();
        }
        if (cpu.tsc.offset() != ticksAhead || (int) cpu.tscAux != processor) {
            findTime();
        }
        if (cpu.gdtBase != gdtBase || cpu.gdtLimit != gdtLimit) {
            gdtBase = cpu.gdtBase;
            gdtLimit = cpu.gdtLimit;
            // From an open area IRET is interpreted.
            mmu.area(Mmu.Privilege.SUPERVISOR).setInterruptReturn(mmu.area(Mmu.Privilege.USER), gdtBase, gdtLimit);
        }
    }

    /** Tells the areas where SYSCALL, SYSRET, STAC and CLAC lead. */
    private void findCrossings() {
        star = cpu.star;
        lstar = cpu.lstar;
        sfmask = cpu.sfmask;
        efer = cpu.efer;
        cr4 = cpu.cr4;
        StateArea supervisor = mmu.area(Mmu.Privilege.SUPERVISOR);
        StateArea open = mmu.area(Mmu.Privilege.SUPERVISOR_OPEN);
        StateArea user = mmu.area(Mmu.Privilege.USER);
        boolean calls = (efer & Cpu.EFER_SCE) != 0;
        int selector = SystemCalls.callSelector(cpu);
        user.setSystemCall(calls ? supervisor : null, lstar, selector, selector + 8, (int) sfmask);
        supervisor.setSystemReturn(
                calls ? user : null, SystemCalls.returnSelector(cpu), SystemCalls.returnStackSelector(cpu));
        // Without SMAP there is only one area for supervisors.
        supervisor.setUserAccess((cr4 & Cpu.CR4_SMAP) != 0 ? open : supervisor, supervisor);
        open.setUserAccess(open, supervisor);
        findTime();
    }

    /** Tells the areas how RDTSC and RDTSCP read the counter, unless those may fault. */
    private void findTime() {
        TimeStampCounter tsc = cpu.tsc;
        ticksAhead = tsc.offset();
        processor = (int) cpu.tscAux;
        MemorySegment clock = (cpu.cr4 & Cpu.CR4_TSD) == 0 ? tsc.clock.ahead() : null;
        for (Mmu.Privilege privilege : Mmu.Privilege.values()) {
            mmu.area(privilege).setTime(clock, tsc.ratio, ticksAhead, processor);
        }
    }

    private void store(long rip) {
        storeGeneral(rip);
        storeVectors();
    }

    private void storeGeneral(long rip) {
        area.storeGeneral(cpu.r);
        cpu.alu.setFlags(area.flags());
        cpu.rip = rip;
        cpu.r[Cpu.START] = rip;
    }

    private void storeVectors() {
        x87.store();
        if (vectors) {
            area.storeVectors(cpu.fpu.xmm);
            cpu.fpu.mxcsr = area.mxcsr();
        }
    }

    /** Executes from here until something has to be interpreted, or an event is due. */
    private Block execute(int start) {
        at = start;
        while (true) {
            enter();
            Translation from = translator.translation(site);
            note(from);
            Block block = answer(from);
            if (block != null) {
                return block;
            }
        }
    }

    /** Executes code until it leaves. */
    private void enter() {
        area.setBudget(budget);
        area = translator.enter(at, area, site);
        int flags = area.system();
        if (flags != system) {
            takeSystem(flags);
        }
        executed += budget - area.budget() + site.uncounted;
        exits[site.kind]++;
    }

    /** Notes for crash reports where code was left: at an instruction that it has not executed, or behind one. */
    private void note(Translation from) {
        switch (site.kind) {
            case Site.MISSING, Site.BUDGET -> cpu.trail.left(from.rip, site.offset);
            case Site.CHAIN, Site.JUMP, Site.LOST, Site.INTERPRET -> cpu.trail.left(from.rip, site.offset + 1);
            default -> {
                // Nothing of a translation has been executed, or nobody knows which.
            }
        }
    }

    /** Takes over what code has changed besides registers and arithmetic flags. */
    private void takeSystem(int flags) {
        if ((flags & StateArea.BASES_CHANGED) != 0) {
            cpu.r[Cpu.BASE + Cpu.FS] = area.fsBase();
            cpu.r[Cpu.BASE + Cpu.GS] = area.gsBase();
            cpu.kernelGsBase = area.kernelGsBase();
        }
        cpu.setSystemFlags(flags);
        if ((flags & StateArea.CROSSED) != 0) {
            int level = (flags & StateArea.UNPRIVILEGED) != 0 ? 3 : 0;
            SystemCalls.cross(cpu, area.selector(Cpu.CS), area.selector(Cpu.SS), level);
            if ((flags & StateArea.NULL_STACK) != 0) {
                Segmentation.setNullStack(cpu, 0);
            }
        }
        system = flags & ~(StateArea.CROSSED | StateArea.BASES_CHANGED | StateArea.NULL_STACK);
        area.setSystem(system);
    }

    /** Does what code was left for; null if code goes on, otherwise as {@link #run}. */
    private @Nullable Block answer(Translation from) {
        return switch (site.kind) {
            case Site.CHAIN, Site.JUMP -> jump(site.target, from);
            case Site.CROSSED -> jump(area.missing(), from);
            case Site.X87 -> {
                // Code that uses them with two privileges in turn comes here on every round, each with a new budget, so
                // events are to be seen here. Whoever was the last to have them may have unmasked exceptions.
                x87.store();
                if (!cpu.events.due() && x87.usable()) {
                    x87.load(area);
                    yield again();
                }
                yield interpretBlock();
            }
            case Site.VECTORS -> interpretBlock();
            case Site.LOST -> lost(from);
            case Site.BUDGET -> budgetUsed(from);
            case Site.INTERPRET -> interpretOne(from);
            default -> missing(from);
        };
    }

    private Block interpretBlock() {
        store(site.target);
        return builder.lookUp(site.target);
    }

    /** Whether an event is due before the instruction at an address. */
    private boolean isDue(long rip) {
        if (!cpu.events.due()) {
            return false;
        }
        if (area.takeShadow(rip)) {
            cpu.setInterruptShadow(true); // makes itself due
        }
        return true;
    }

    private @Nullable Block jump(long rip, Translation from) {
        if (isDue(rip)) {
            store(rip);
            return Block.NONE;
        }
        Block block;
        Translation to;
        try {
            block = builder.lookUp(rip);
            to = isHot(block) ? translation(block, rip) : null;
        } catch (GuestFault f) {
            store(rip);
            throw f;
        }
        if (to == null) {
            store(rip);
            return block;
        }
        if (site.kind == Site.CHAIN) {
            translator.chain(site, from, to);
        } else {
            remember(to);
        }
        at = translator.start(to);
        return null;
    }

    private @Nullable Block lost(Translation from) {
        if (cpu.events.due() || !find(area.missing()) || !translator.isValid(from)) {
            return interpret(from);
        }
        return again();
    }

    private @Nullable Block budgetUsed(Translation from) {
        long rip = from.rip + site.offset;
        if (isDue(rip)) {
            store(rip);
            return Block.NONE;
        }
        if (++from.samples == SAMPLES && !from.hotBlock) {
            learn(from, 0);
            if (!translator.holds(from)) {
                store(rip);
                return goOn(usableArea());
            }
        }
        return again();
    }

    /** Code goes on where it was left. */
    private @Nullable Block again() {
        executed -= site.uncounted;
        at = site.resume;
        return null;
    }

    private @Nullable Block missing(Translation from) {
        if (site.slot() != 0 && area.isRestless(site.slot(), executed)) {
            learn(from, 1L << site.instruction());
        }
        // A loop that comes here on every round begins each with a new budget: it is only here that it can see events.
        boolean filled = !cpu.events.due()
                && !fillsInVain()
                && !site.isMisaligned(area.missing())
                && mmu.fill(area.missing(), site.accessSize(), site.isStore())
                && translator.isValid(from);
        return filled ? again() : interpret(from);
    }

    /** Executes the instruction that code was left for, and has code go on behind it or wherever it leads. */
    private @Nullable Block interpretOne(Translation from) {
        Instruction in = from.instruction(site);
        if (in == null || !translator.isValid(from)) {
            return interpret(from);
        }
        boolean kept = keepsVectors(in);
        long behind = from.rip + site.offset + in.length;
        if (perform(in, kept, from.rip + site.offset)) {
            return Block.NONE;
        }
        StateArea now = usableArea();
        if (site.next != 0 && cpu.rip == behind && now == area && translator.isValid(from) && findsRegisters(from)) {
            executed -= site.uncounted;
            at = site.next;
            if (kept) {
                loadGeneral(now);
            } else {
                load(now);
            }
            loadX87(from);
            return null;
        }
        if (kept) {
            storeVectors();
        }
        executed++;
        return goOn(now);
    }

    /** Goes on at {@link Cpu#rip} with everything in the processor; null for {@code now} if code must not be used. */
    private @Nullable Block goOn(@Nullable StateArea now) {
        long rip = cpu.rip;
        cpu.r[Cpu.START] = rip;
        Block block = builder.lookUp(rip);
        Translation to = now != null && isHot(block) ? translation(block, rip) : null;
        if (now == null || to == null) {
            return block;
        }
        load(now);
        remember(to);
        at = translator.start(to);
        return null;
    }

    /**
     * Whether the instruction has missed so often in a row that its operands must be putting each other out of the soft
     * TLB.
     */
    private boolean fillsInVain() {
        boolean again = site.resume == filledFor && area.budget() == budget;
        fills = again ? fills + 1 : 1;
        filledFor = site.resume;
        return fills > 2;
    }

    /**
     * Executes the instruction at {@code rip} by itself; tells whether an event is due. With {@code kept} XMM registers stay
     * where they are for the time being, unless true is returned.
     */
    private boolean perform(Instruction in, boolean kept, long rip) {
        storeGeneral(rip);
        if (!kept) {
            storeVectors();
        } else if (!HostX87.keepsSelectors(in)) {
            x87.store();
        }
        try {
            executor.execute(in);
        } catch (GuestFault f) {
            if (kept) {
                storeVectors();
            }
            throw f;
        }
        if (!cpu.events.due()) {
            return false;
        }
        if (kept) {
            storeVectors();
        }
        executed++;
        return true;
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

    /** Translates a block anew, as a hot one unless it is an access that is known to be restless now. */
    private void learn(Translation from, long restless) {
        try {
            Block block = builder.lookUp(from.rip);
            Translation current = translation(block, from.rip);
            if (current != from) {
                return; // the code has changed, or somebody else was faster
            }
            Profile known = block.profile;
            block.profile = new Profile(known.hot() || restless == 0, known.restless() | restless);
            Translation made = translate(block, from.rip);
            if (made != null) {
                translator.replace(from, made);
                learned++;
            }
        } catch (GuestFault f) {
            return; // comes up again when that code is next looked for
        }
    }

    /** Puts the translation at an indirect branch's target into the jump cache, if there is one by now. */
    private boolean find(long target) {
        if (target << 16 >> 16 != target) {
            return false;
        }
        try {
            Block block = builder.lookUp(target);
            Translation translation = block.heat >= threshold ? translation(block, target) : null;
            if (translation != null) {
                remember(translation);
            }
            return translation != null;
        } catch (GuestFault f) {
            return false; // comes up again, exactly, when the branch has been interpreted
        }
    }

    private void remember(Translation translation) {
        long rip = translation.rip;
        boolean local = mmu.isLocal(rip) || translation.straddles && mmu.isLocal((rip | 0xfff) + 1);
        translator.remember(area, translation, local);
    }

    /** Gives the instruction of the site to the interpreter. */
    private Block interpret(Translation from) {
        long rip = from.rip + site.offset;
        store(rip);
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
        boolean watched = block.offset >= 0 && (!block.straddles || memory.isRam(block.secondPage));
        if (!watched || block.mode != Cpu.MODE_64) {
            block.heat = NEVER;
            return null;
        }
        if (others >= ADDRESSES) {
            block.dropTranslations();
        }
        Translation made = translate(block, rip);
        if (made == null && translator.isFull()) {
            long flushes = mmu.flushes;
            rendezvous.exclusively(cpu, () -> {
                if (translator.isFull()) {
                    translator.reset();
                }
            });
            // Where others have flushed the translations meanwhile, the block may no longer be the one at that address.
            if (mmu.flushes != flushes) {
                return null;
            }
            made = translate(block, rip);
        }
        if (made == null && !translator.isFull()) {
            block.heat = NEVER;
        }
        return made;
    }

    private static void install(Block block, Translation made) {
        block.translation = made;
        // Whoever writes to the page marks the block, then looks for translations; here it is the other way round.
        VarHandle.fullFence();
        if (block.dead) {
            made.invalidate();
        }
    }

    /** Where everything is translated at once, half of it is as if it were hot. */
    private static Profile profileOfTests(Block block) {
        return new Profile((block.offset & 8) == 0, 0);
    }

    private @Nullable Translation translate(Block block, long rip) {
        long page = mmu.translateFetch(rip) & ~0xfffL;
        CodePage code = memory.code.page(page);
        Profile profile =
                threshold == 1 && block.profile.equals(Profile.UNKNOWN) ? profileOfTests(block) : block.profile;
        if (threshold == 1) {
            decodeAhead(block, rip);
        }
        int[] parts = profile.hot() ? parts(block, code) : new int[] {block.instructions};
        // Only now: who changes the code of these blocks from here on invalidates them all; before, other code may have
        // been there.
        int version = code.version();
        byte[] bytes = block.straddles ? twoPages : onePage;
        MemorySegment.copy(memory.ram, JAVA_BYTE, page, bytes, 0, 0x1000);
        if (block.straddles) {
            MemorySegment.copy(memory.ram, JAVA_BYTE, block.secondPage, bytes, 0x1000, LONGEST_INSTRUCTION);
        }
        // Others may translate it at the same time, and whoever invalidates the block must find what all of them have
        // made.
        synchronized (block) {
            Translation next = block.translation;
            while (next != null && !translator.isValid(next)) {
                next = next.next;
            }
            Translation made = translator.translate(
                    bytes,
                    rip,
                    parts,
                    in -> builder.applyOffered(in),
                    offset -> decodedSince(code, version, offset),
                    profile,
                    next);
            if (made != null) {
                install(block, made);
            }
            return made;
        }
    }

    /** How many bytes the block at an offset has, if nothing has been written to the page since that version; otherwise 0. */
    private static int decodedSince(CodePage code, int version, int offset) {
        Block block = code.find(offset, Cpu.MODE_64);
        return block == null || block.straddles || !code.isStill(version) ? 0 : block.length;
    }

    /** How many instructions a block has, and those behind it in the page that have been executed. */
    private static int[] parts(Block block, CodePage code) {
        int[] parts = new int[MAX_PARTS];
        int count = 0;
        int total = 0;
        Block part = block;
        while (part != null && count < MAX_PARTS && total + part.instructions <= Block.MAX_INSTRUCTIONS) {
            parts[count++] = part.instructions;
            total += part.instructions;
            part = part.nextInPage ? code.find(part.offset + part.length, Cpu.MODE_64) : null;
        }
        return Arrays.copyOf(parts, count);
    }

    /** Where everything is translated at once, what is behind a block has not been executed yet: as if it had. */
    private void decodeAhead(Block block, long rip) {
        Block part = block;
        long at = rip;
        for (int i = 0; i < 2; i++) {
            at += part.length;
            if (!part.nextInPage || (at & 0xfff) > 0xff0) {
                return;
            }
            part = builder.find(at, Cpu.MODE_64);
        }
    }
}
