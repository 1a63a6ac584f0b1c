package org.torte.hypervisor.software;

import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.torte.base.StateInput;
import org.torte.base.StateOutput;
import org.torte.hypervisor.CpuState;
import org.torte.hypervisor.LastSteps;
import org.torte.hypervisor.PartitionConfiguration;
import org.torte.hypervisor.TranslatorMode;
import org.torte.hypervisor.VirtualProcessor;
import org.torte.hypervisor.shared.RunTime;
import org.torte.hypervisor.software.translator.Translator;

/** One processor: takes events between runs of the interpreter, and delivers what faults it ends with. */
final class SoftwareProcessor implements VirtualProcessor {
    /** The bit of DR6 that says a trap came from the TF flag. */
    static final int DR6_SINGLE_STEP = 0x4000;

    /** What ends a HLT, besides an interrupt that is allowed. */
    private static final int WAKE = Events.NMI | Events.INIT | Events.CANCEL | Events.RENDEZVOUS;

    /** Instructions that are interpreted before it matters that they are many. */
    private static final long BRIEF = 16_000_000;

    /** Of all instructions, the part that is many. */
    private static final int MANY = 8;

    private final Cpu cpu;
    private final Rendezvous rendezvous;
    private final Interrupts interrupts;
    private Interpretation interpreter;

    /**
     * Makes what takes the interpreter's place when many instructions are interpreted, be it that this host has no
     * translator; null if nothing does.
     */
    private @Nullable Supplier<Interpretation> lasting;

    private final @Nullable TranslatedCode translated;
    private final RunTime runTime = new RunTime();

    /** A triple fault came up while an interrupt was delivered. */
    private boolean shutdown;

    SoftwareProcessor(
            int index,
            PartitionConfiguration configuration,
            PhysicalMemory memory,
            InterruptRouter router,
            Rendezvous rendezvous,
            @Nullable Translator translator) {
        this.rendezvous = rendezvous;
        cpu = new Cpu(index, memory, router, configuration.timers(), configuration.tscFrequency());
        Segmentation segmentation = new Segmentation(cpu);
        interrupts = new Interrupts(cpu, segmentation);
        Executor executor = new Executor(
                cpu,
                new Atomics(cpu, memory, rendezvous, LockedInstructions.ofHost()),
                new Ports(cpu, configuration.handler()),
                segmentation,
                interrupts,
                new SystemInstructions(cpu, configuration),
                new FloatingPointUnit(cpu.fpu, cpu));
        BlockBuilder builder =
                new BlockBuilder(cpu, memory, rendezvous, new OfferedInstructions(configuration.cpuid()));
        boolean always = configuration.translator() == TranslatorMode.ONLY;
        translated = translator == null
                ? null
                : new TranslatedCode(
                        cpu,
                        memory,
                        rendezvous,
                        executor,
                        builder,
                        translator,
                        always ? 1 : TranslatedCode.HOT,
                        TranslatedCode.BUDGET);
        interpreter = new Interpreter(cpu, executor, builder, translated);
        lasting = configuration.translator() == TranslatorMode.OFF
                ? null
                : () -> LastingInterpreter.create(cpu, executor, builder, translated);
    }

    /** Its translated code, or null when everything is interpreted. */
    @Nullable
    TranslatedCode translated() {
        return translated;
    }

    Interpretation interpretation() {
        return interpreter;
    }

    Cpu cpu() {
        return cpu;
    }

    @Override
    public int index() {
        return cpu.index;
    }

    @Override
    public Exit run() {
        runTime.begin();
        rendezvous.enter();
        try {
            while (true) {
                Events events = cpu.events;
                events.attention = false;
                if (cpu.pendingTrap != 0) {
                    if (!debugTrap(0)) {
                        return Exit.SHUTDOWN;
                    }
                    continue;
                }
                if (events.takeable() != 0 && takeEvents()) {
                    return Exit.CANCELLED;
                }
                if (shutdown) {
                    shutdown = false;
                    return Exit.SHUTDOWN;
                }
                if (cpu.waitingForStartup) {
                    await(Events.STARTUP | Events.INIT | Events.CANCEL | Events.RENDEZVOUS);
                    continue;
                }
                if (cpu.halted) {
                    boolean allowed = (cpu.systemFlags & Cpu.IF) != 0;
                    int wake = cpu.nmiBlocked ? WAKE & ~Events.NMI : WAKE;
                    await(allowed ? wake | Events.INTERRUPT : wake);
                    continue;
                }
                if (!step()) {
                    return Exit.SHUTDOWN;
                }
            }
        } finally {
            rendezvous.leave();
            runTime.end();
        }
    }

    private void await(int events) {
        rendezvous.leave();
        try {
            cpu.events.await(events);
        } finally {
            rendezvous.enter();
        }
    }

    /** Runs guest code until something comes up; false for a triple fault. */
    private boolean step() {
        boolean shadow = cpu.interruptShadow;
        boolean debugging = cpu.breakpoints.armed();
        if (debugging) {
            if ((cpu.systemFlags & Cpu.RF) == 0) {
                long base = cpu.longMode() ? 0 : cpu.r[Cpu.BASE + Cpu.CS];
                int hits = shadow ? 0 : cpu.breakpoints.atInstruction(base + cpu.rip);
                if (hits != 0) {
                    return debugTrap(hits);
                }
            } else {
                cpu.setSystemFlags(cpu.systemFlags & ~Cpu.RF);
            }
        }
        boolean trap = (cpu.systemFlags & Cpu.TF) != 0;
        long delivered = interrupts.delivered;
        int level = cpu.cpl;
        Supplier<Interpretation> better = lasting;
        if (better != null && interpreter.interpreted > BRIEF && interpretsMany()) {
            lasting = null;
            Interpretation made = better.get();
            made.takeOver(interpreter);
            interpreter = made;
        }
        interpreter.execute(shadow || trap || debugging);
        int hits = debugging ? cpu.breakpoints.takeHits() : 0;
        GuestFault fault = interpreter.fault;
        if (shadow && fault == null && cpu.interruptShadow == shadow) {
            cpu.setInterruptShadow(false);
        }
        if (fault != null) {
            cpu.setInterruptShadow(false);
            return interrupts.exception(fault.vector, fault.errorCode);
        }
        // INT n and SYSCALL turn TF off and with it their own trap (SDM vol. 3, section 18.3.1.4).
        boolean entered = interrupts.delivered != delivered || cpu.cpl < level && (cpu.systemFlags & Cpu.TF) == 0;
        if (trap && !entered) {
            hits |= DR6_SINGLE_STEP;
        }
        return hits == 0 || debugTrap(hits);
    }

    private boolean interpretsMany() {
        return translated == null || interpreter.interpreted > translated.executed / MANY;
    }

    private boolean debugTrap(int hits) {
        cpu.dr[6] = cpu.dr[6] & ~0xfL | hits | cpu.pendingTrap;
        cpu.pendingTrap = 0;
        return interrupts.exception(GuestFault.DB, 0);
    }

    /** Takes what is pending in order of priority; true to return to the caller of {@link #run}. */
    private boolean takeEvents() {
        Events events = cpu.events;
        if (events.clear(Events.RENDEZVOUS) != 0) {
            rendezvous.pause();
        }
        if (events.clear(Events.CANCEL) != 0) {
            return true;
        }
        if (events.clear(Events.INIT) != 0) {
            // A SIPI that is pending too came after it: the APIC drops those that came before.
            cpu.reset(false);
            return false;
        }
        if (events.clear(Events.STARTUP) != 0) {
            if (cpu.waitingForStartup) {
                int page = cpu.apic.startupVector();
                cpu.selector[Cpu.CS] = page << 8;
                cpu.r[Cpu.BASE + Cpu.CS] = (long) page << 12;
                cpu.rip = 0;
                cpu.waitingForStartup = false;
                cpu.modeChanged();
            }
            return false;
        }
        if (cpu.waitingForStartup) {
            return false;
        }
        if ((events.takeable() & Events.NMI) != 0) {
            events.clear(Events.NMI);
            cpu.halted = false;
            shutdown |= !interrupts.nmi();
            return false;
        }
        if ((events.takeable() & Events.INTERRUPT) != 0) {
            int vector = cpu.apic.acknowledge();
            if (vector >= 0) {
                cpu.halted = false;
                shutdown |= !interrupts.external(vector);
            }
        }
        return false;
    }

    @Override
    public void cancel() {
        cpu.events.raise(Events.CANCEL);
    }

    @Override
    public LastSteps lastSteps() {
        return new LastSteps(cpu.trail.last(), interrupts.chain);
    }

    @Override
    public long runTime() {
        return runTime.nanos();
    }

    @Override
    public long instructions() {
        return interpreter.instructions;
    }

    @Override
    public CpuState state() {
        CpuState state = new CpuState();
        System.arraycopy(cpu.r, 0, state.gpr, 0, 16);
        state.rip = cpu.rip;
        state.rflags = cpu.flags();
        for (int i = 0; i < state.segments.length; i++) {
            state.segments[i] =
                    new CpuState.Segment(cpu.selector[i], cpu.r[Cpu.BASE + i], cpu.limit[i], cpu.attributes[i]);
        }
        state.gdtBase = cpu.gdtBase;
        state.gdtLimit = cpu.gdtLimit;
        state.idtBase = cpu.idtBase;
        state.idtLimit = cpu.idtLimit;
        state.cr0 = cpu.cr0;
        state.cr2 = cpu.cr2;
        state.cr3 = cpu.cr3;
        state.cr4 = cpu.cr4;
        state.cr8 = cpu.apic.cr8();
        state.efer = cpu.efer;
        return state;
    }

    @Override
    public void setState(CpuState state) {
        System.arraycopy(state.gpr, 0, cpu.r, 0, 16);
        cpu.rip = state.rip;
        for (int i = 0; i < state.segments.length; i++) {
            CpuState.Segment segment = state.segments[i];
            cpu.selector[i] = segment.selector();
            cpu.r[Cpu.BASE + i] = segment.base();
            cpu.limit[i] = segment.limit();
            cpu.attributes[i] = segment.attributes();
        }
        cpu.gdtBase = state.gdtBase;
        cpu.gdtLimit = state.gdtLimit;
        cpu.idtBase = state.idtBase;
        cpu.idtLimit = state.idtLimit;
        cpu.cr0 = state.cr0;
        cpu.cr2 = state.cr2;
        cpu.cr3 = state.cr3;
        cpu.cr4 = state.cr4;
        cpu.efer = state.efer;
        cpu.apic.setCr8((int) state.cr8);
        cpu.setFlags((int) state.rflags);
        cpu.halted = false;
        cpu.waitingForStartup = false;
        cpu.stateReplaced();
    }

    @Override
    public long register(int number) {
        return cpu.r[number];
    }

    @Override
    public void setRegister(int number, long value) {
        cpu.r[number] = value;
    }

    @Override
    public long vectorRegister(int number, int half) {
        return cpu.fpu.xmm[2 * number + half];
    }

    @Override
    public long timeStamp() {
        return cpu.tsc.read();
    }

    @Override
    public void awaitInterrupt() {
        await(WAKE | Events.INTERRUPT);
    }

    void reset() {
        cpu.reset(true);
        cpu.events.clear(~0);
        shutdown = false;
    }

    void save(StateOutput out) {
        ProcessorState.save(cpu, interpreter.instructions, out);
    }

    void restore(StateInput in) {
        reset();
        interpreter.instructions = ProcessorState.restore(cpu, in);
    }

    void close() {
        cpu.apic.timer().reset();
    }
}
