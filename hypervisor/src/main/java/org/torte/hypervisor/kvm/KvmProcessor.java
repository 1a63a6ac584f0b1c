package org.torte.hypervisor.kvm;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_INT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static java.lang.foreign.ValueLayout.JAVA_LONG_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;
import static java.lang.foreign.ValueLayout.JAVA_SHORT_UNALIGNED;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.function.IntSupplier;
import org.jspecify.annotations.Nullable;
import org.torte.hypervisor.CpuState;
import org.torte.hypervisor.ExitHandler;
import org.torte.hypervisor.HypervisorException;
import org.torte.hypervisor.VirtualProcessor;
import org.torte.hypervisor.shared.IoApic;
import org.torte.hypervisor.shared.Msrs;
import org.torte.hypervisor.shared.ProcessorImage;
import org.torte.hypervisor.shared.RunTime;

/** A processor of KVM: runs it on the caller's thread and serves its exits there. */
final class KvmProcessor implements VirtualProcessor {
    private final int index;
    private final int fd;
    private final ExitHandler handler;
    private final IoApic ioApic;

    /** struct kvm_run and the data behind it, shared with KVM. */
    private final MemorySegment run;

    private final Kick kick;
    private final RunTime runTime = new RunTime();
    private final ProcessorTransfer transfer;
    private final MemorySegment registers;
    private final MemorySegment apic;
    private final MemorySegment argument;
    private final ExitHandler.MsrValue msrValue = new ExitHandler.MsrValue();

    /** Registers without effect that KVM does not have. */
    private final Msrs msrs = new Msrs();

    private final long[] value = new long[1];
    private final ProcessorImage powerUp = new ProcessorImage();

    private volatile boolean cancelled;
    private volatile boolean nmi;
    private volatile @Nullable IntSupplier external;
    private volatile boolean flushWanted;

    /** May be executing guest code: it has looked at {@link #flushWanted} after setting this. */
    private volatile boolean inGuest;

    /** An exit has been served, which KVM completes on the next entry. */
    private boolean incomplete;

    private boolean registersRead;
    private boolean registersWritten;

    // What stands while the partition is paused.
    private boolean paused = true;
    private long pausedTime;
    private long pausedDeadline;
    private int pausedInitialCount;
    private int pausedCount;
    private long instructions;

    KvmProcessor(int index, int fd, MemorySegment run, ExitHandler handler, IoApic ioApic, Arena arena) {
        this.index = index;
        this.fd = fd;
        this.run = run;
        this.handler = handler;
        this.ioApic = ioApic;
        kick = new Kick(fd, run);
        transfer = new ProcessorTransfer(fd, arena.allocate(4096, 64));
        registers = arena.allocate(144, 8);
        apic = arena.allocate(ProcessorTransfer.APIC_SIZE, 8);
        argument = arena.allocate(8, 8);
        transfer.readApic(apic);
        transfer.save(powerUp, apic);
        powerUp.waitingForStartup = index != 0;
    }

    @Override
    public int index() {
        return index;
    }

    @Override
    public Exit run() {
        runTime.begin();
        kick.enter();
        try {
            while (true) {
                Kvm.setImmediateExit(run, false);
                boolean stop = cancelled;
                if (stop && !incomplete) {
                    cancelled = false;
                    return Exit.CANCELLED;
                }
                if (stop) {
                    Kvm.setImmediateExit(run, true);
                } else {
                    bringInterrupts();
                }
                int result = enter();
                incomplete = false;
                if (result >= 0) {
                    if (!serve()) {
                        return Exit.SHUTDOWN;
                    }
                } else if (result == -Linux.EINTR) {
                    kick.taken();
                } else if (result != -Linux.EAGAIN) {
                    throw stopped(Failures.running(-result));
                }
            }
        } finally {
            kick.leave();
            runTime.end();
        }
    }

    private int enter() {
        inGuest = true;
        while (flushWanted) {
            inGuest = false;
            flushWanted = false;
            transfer.flushTranslations();
            inGuest = true;
        }
        int result = Linux.ioctl(fd, Kvm.RUN, 0);
        inGuest = false;
        return result;
    }

    /** Has it forget its translations before it executes anything more of the guest. Any thread. */
    void flushTranslations() {
        flushWanted = true;
        if (inGuest) {
            kick.send();
        }
    }

    /** Waits until it has left the guest after {@link #flushTranslations}, which takes microseconds. */
    void awaitFlush() {
        while (flushWanted && inGuest) {
            Thread.onSpinWait();
        }
    }

    /** NMIs and the 8259's interrupts, which KVM takes from this thread alone. */
    private void bringInterrupts() {
        if (nmi) {
            nmi = false;
            Kvm.check(Linux.ioctl(fd, Kvm.NMI, 0), "KVM_NMI");
        }
        IntSupplier source = external;
        if (source != null && run.get(JAVA_BYTE, Kvm.READY_FOR_INTERRUPT) != 0) {
            int vector = source.getAsInt();
            if (vector >= 0) {
                argument.set(JAVA_INT, 0, vector & 0xff);
                // Refused while an earlier one is still on its way, which the line above has ruled out.
                Kvm.check(Linux.ioctl(fd, Kvm.INTERRUPT, argument), "KVM_INTERRUPT");
                run.set(JAVA_BYTE, Kvm.READY_FOR_INTERRUPT, (byte) 0);
            }
            source = external;
        }
        run.set(JAVA_BYTE, Kvm.REQUEST_WINDOW, (byte) (source != null ? 1 : 0));
    }

    /** Serves an exit; false for a triple fault. */
    private boolean serve() {
        int reason = run.get(JAVA_INT, Kvm.EXIT_REASON);
        switch (reason) {
            case Kvm.EXIT_IO -> servePort();
            case Kvm.EXIT_MMIO -> serveMemory();
            case Kvm.EXIT_RDMSR -> serveReadMsr();
            case Kvm.EXIT_WRMSR -> serveWriteMsr();
            case Kvm.EXIT_IOAPIC_EOI -> ioApic.endOfInterrupt(run.get(JAVA_BYTE, Kvm.EOI_VECTOR) & 0xff);
            case Kvm.EXIT_WINDOW, Kvm.EXIT_INTR, Kvm.EXIT_HLT -> {
                // The loop goes on.
            }
            case Kvm.EXIT_SHUTDOWN -> {
                return false;
            }
            case Kvm.EXIT_FAIL_ENTRY ->
                throw stopped("the host's processor refused its state, reason 0x"
                        + Long.toHexString(run.get(JAVA_LONG, Kvm.ERROR_CODE)));
            case Kvm.EXIT_INTERNAL_ERROR -> throw stopped(Failures.internal(run, transfer.instructionPointer()));
            default -> throw stopped("KVM's exit " + reason + " is unknown here");
        }
        if (registersWritten) {
            transfer.writeGeneral(registers);
        }
        registersRead = false;
        registersWritten = false;
        return true;
    }

    private void servePort() {
        boolean write = run.get(JAVA_BYTE, Kvm.IO_DIRECTION) != 0;
        int size = run.get(JAVA_BYTE, Kvm.IO_SIZE);
        int port = run.get(JAVA_SHORT, Kvm.IO_PORT) & 0xffff;
        int count = run.get(JAVA_INT, Kvm.IO_COUNT);
        long data = run.get(JAVA_LONG, Kvm.IO_OFFSET);
        incomplete = true;
        for (int i = 0; i < count; i++, data += size) {
            if (write) {
                handler.writePort(index, port, size, (int) load(data, size));
            } else {
                store(data, size, handler.readPort(index, port, size));
            }
        }
    }

    private void serveMemory() {
        long address = run.get(JAVA_LONG, Kvm.MMIO_ADDRESS);
        int size = run.get(JAVA_INT, Kvm.MMIO_LENGTH);
        incomplete = true;
        // KVM may hand over odd pieces of an access that crosses a page.
        for (int done = 0; done < size; ) {
            int piece = Integer.highestOneBit(size - done);
            if (run.get(JAVA_BYTE, Kvm.MMIO_WRITE) != 0) {
                writeMemory(address + done, piece, load(Kvm.MMIO_DATA + done, piece));
            } else {
                store(Kvm.MMIO_DATA + done, piece, readMemory(address + done, piece));
            }
            done += piece;
        }
    }

    private long readMemory(long address, int size) {
        return IoApic.claims(address) ? ioApic.read(address, size) : handler.readMemory(index, address, size);
    }

    private void writeMemory(long address, int size, long written) {
        if (IoApic.claims(address)) {
            ioApic.write(address, size, written);
        } else {
            handler.writeMemory(index, address, size, written);
        }
    }

    private void serveReadMsr() {
        int number = run.get(JAVA_INT, Kvm.MSR_INDEX);
        incomplete = true;
        boolean known = msrs.read(number, value);
        if (known) {
            msrValue.value = value[0];
        } else {
            known = handler.readMsr(index, number, msrValue);
        }
        run.set(JAVA_LONG, Kvm.MSR_DATA, known ? msrValue.value : 0);
        run.set(JAVA_BYTE, Kvm.MSR_ERROR, (byte) (known ? 0 : 1));
    }

    private void serveWriteMsr() {
        int number = run.get(JAVA_INT, Kvm.MSR_INDEX);
        long written = run.get(JAVA_LONG, Kvm.MSR_DATA);
        incomplete = true;
        boolean taken = msrs.write(number, written) || handler.writeMsr(index, number, written);
        run.set(JAVA_BYTE, Kvm.MSR_ERROR, (byte) (taken ? 0 : 1));
    }

    private long load(long at, int size) {
        return switch (size) {
            case 1 -> run.get(JAVA_BYTE, at) & 0xff;
            case 2 -> run.get(JAVA_SHORT_UNALIGNED, at) & 0xffff;
            case 4 -> run.get(JAVA_INT_UNALIGNED, at) & 0xffff_ffffL;
            default -> run.get(JAVA_LONG_UNALIGNED, at);
        };
    }

    private void store(long at, int size, long stored) {
        switch (size) {
            case 1 -> run.set(JAVA_BYTE, at, (byte) stored);
            case 2 -> run.set(JAVA_SHORT_UNALIGNED, at, (short) stored);
            case 4 -> run.set(JAVA_INT_UNALIGNED, at, (int) stored);
            default -> run.set(JAVA_LONG_UNALIGNED, at, stored);
        }
    }

    private HypervisorException stopped(String why) {
        return new HypervisorException("KVM could not go on with processor " + index + ": " + why
                + "; the guest was turned off; --hypervisor software runs it without KVM");
    }

    @Override
    public void cancel() {
        cancelled = true;
        kick.send();
    }

    /** Latches a non-maskable interrupt. Any thread. */
    void signalNmi() {
        nmi = true;
        kick.send();
    }

    /** The 8259's wire. Any thread. */
    void setExternal(boolean high, IntSupplier acknowledge) {
        external = high ? acknowledge : null;
        if (high) {
            kick.send();
        }
    }

    @Override
    public CpuState state() {
        CpuState state = new CpuState();
        transfer.read(state);
        return state;
    }

    @Override
    public void setState(CpuState state) {
        transfer.write(state);
        transfer.setRunnable();
    }

    @Override
    public long register(int number) {
        if (!registersRead) {
            transfer.readGeneral(registers);
            registersRead = true;
        }
        return registers.get(JAVA_LONG, ProcessorTransfer.offsetOf(number));
    }

    @Override
    public void setRegister(int number, long newValue) {
        long _ = register(number);
        registers.set(JAVA_LONG, ProcessorTransfer.offsetOf(number), newValue);
        registersWritten = true;
    }

    @Override
    public long vectorRegister(int number, int half) {
        return transfer.vector(number, half);
    }

    @Override
    public long timeStamp() {
        return paused ? pausedTime : transfer.timeStamp();
    }

    @Override
    public long runTime() {
        return runTime.nanos();
    }

    @Override
    public long instructions() {
        return -1;
    }

    // ---- time, and all state: only while it does not run

    /** Remembers the counters and stops the APIC's timer. */
    void pause() {
        if (paused) {
            return;
        }
        pausedTime = transfer.timeStamp();
        pausedDeadline = transfer.deadline();
        transfer.readApic(apic);
        pausedInitialCount = apic.get(JAVA_INT, ProcessorTransfer.INITIAL_COUNT);
        pausedCount = apic.get(JAVA_INT, ProcessorTransfer.CURRENT_COUNT);
        paused = true;
        apic.set(JAVA_INT, ProcessorTransfer.INITIAL_COUNT, 0);
        apic.set(JAVA_INT, ProcessorTransfer.CURRENT_COUNT, 0);
        transfer.setDeadline(0);
        transfer.writeApic(apic);
    }

    /** Lets the counters go on from where they stood. */
    void resume() {
        if (!paused) {
            return;
        }
        paused = false;
        transfer.setTimeStamp(pausedTime);
        transfer.readApic(apic);
        // A count that has run out stays out: KVM would take a count of zero as due now.
        apic.set(JAVA_INT, ProcessorTransfer.INITIAL_COUNT, pausedCount == 0 ? 0 : pausedInitialCount);
        apic.set(JAVA_INT, ProcessorTransfer.CURRENT_COUNT, pausedCount);
        transfer.writeApic(apic);
        if (pausedDeadline != 0) {
            transfer.setDeadline(pausedDeadline);
        }
    }

    ProcessorImage save() {
        boolean running = !paused;
        if (running) {
            pause();
        }
        ProcessorImage image = new ProcessorImage();
        copy(msrs, image.msrs);
        image.timeStamp = pausedTime;
        image.deadline = pausedDeadline;
        transfer.readApic(apic);
        apic.set(JAVA_INT, ProcessorTransfer.INITIAL_COUNT, pausedInitialCount);
        apic.set(JAVA_INT, ProcessorTransfer.CURRENT_COUNT, pausedCount);
        transfer.save(image, apic);
        image.instructions = instructions;
        if (nmi) {
            image.pending |= ProcessorImage.NMI;
        }
        if (running) {
            resume();
        }
        return image;
    }

    void restore(ProcessorImage image) {
        boolean running = !paused;
        cancelled = false;
        nmi = false;
        external = null;
        incomplete = false;
        copy(image.msrs, msrs);
        transfer.restore(image, apic);
        paused = true;
        pausedTime = image.timeStamp;
        pausedDeadline = image.deadline;
        pausedInitialCount = apic.get(JAVA_INT, ProcessorTransfer.INITIAL_COUNT);
        pausedCount = apic.get(JAVA_INT, ProcessorTransfer.CURRENT_COUNT);
        instructions = image.instructions;
        if (running) {
            resume();
        }
    }

    private static void copy(Msrs from, Msrs to) {
        long[] value = new long[1];
        for (int number : Msrs.saved()) {
            if (from.read(number, value)) {
                boolean _ = to.write(number, value[0]);
            }
        }
    }

    void reset() {
        msrs.reset();
        copy(msrs, powerUp.msrs);
        powerUp.timeStamp = 0;
        powerUp.deadline = 0;
        IntSupplier source = external;
        restore(powerUp);
        external = source;
    }

    /** Its descriptor, for tests that let it fail. */
    int descriptor() {
        return fd;
    }

    void close() {
        kick.close();
        Linux.unmap(run);
        Linux.close(fd);
    }
}
