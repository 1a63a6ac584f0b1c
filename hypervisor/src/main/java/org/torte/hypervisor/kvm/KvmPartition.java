package org.torte.hypervisor.kvm;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Optional;
import java.util.function.IntSupplier;
import org.torte.base.StateReader;
import org.torte.base.StateWriter;
import org.torte.hypervisor.CpuidTable;
import org.torte.hypervisor.HypervisorException;
import org.torte.hypervisor.Partition;
import org.torte.hypervisor.PartitionConfiguration;
import org.torte.hypervisor.VirtualProcessor;
import org.torte.hypervisor.shared.InterruptMessage;
import org.torte.hypervisor.shared.IoApic;
import org.torte.hypervisor.shared.ProcessorImage;

/** A virtual machine of KVM: its memory slots, processors and what interrupts them. */
final class KvmPartition implements Partition, IoApic.Output {
    private static final long MESSAGE_ADDRESS = 0xfee0_0000L;

    /** Where KVM may put pages of its own for processors without real mode: below the firmware's, outside RAM. */
    private static final long IDENTITY_MAP = 0xfffb_c000L, TASK_STATE = 0xfffb_d000L;

    /** The synthetic registers, which KVM must not answer itself. */
    private static final int SYNTHETIC_BASE = 0x4000_0000, SYNTHETIC_COUNT = 0x200;

    /** How far the frequency of time stamps may be off before guests would notice: what KVM itself tolerates. */
    private static final double FREQUENCY_TOLERANCE = 250e-6;

    private static final int SLOT_SIZE = 32, SCRATCH = 8192;
    private static final int MSI_ROUTE = 2, ROUTE_SIZE = 48;

    private final Arena arena = Arena.ofShared();
    private final Deque<Integer> descriptors = new ArrayDeque<>();
    private final IoApic ioApic = new IoApic(this);
    private final List<KvmProcessor> processors = new ArrayList<>();
    private final Doorbells doorbells;
    private final MemorySlots slots;
    private final long tscFrequency;
    private final int machine;

    /** Arguments of the machine's requests; its own lock. */
    private final MemorySegment scratch = arena.allocate(SCRATCH, 8);

    private boolean closed;

    KvmPartition(KvmDevice device, PartitionConfiguration configuration) {
        try {
            machine = own(device.createMachine());
            doorbells = new Doorbells(machine);
            configureMachine();
            slots = new MemorySlots(machine, configuration.memory());
            int shared = Kvm.check(device.request(Kvm.GET_VCPU_MMAP_SIZE, 0), "KVM_GET_VCPU_MMAP_SIZE");
            for (int i = 0; i < configuration.processors(); i++) {
                addProcessor(i, shared, configuration);
            }
            tscFrequency = scaleTime(device, configuration.tscFrequency());
        } catch (RuntimeException | Error e) {
            release();
            throw e;
        }
    }

    private int own(int fd) {
        descriptors.push(fd);
        return fd;
    }

    private int request(long request, MemorySegment argument, String what) {
        return Kvm.check(Linux.ioctl(machine, request, argument), what);
    }

    private void configureMachine() {
        Kvm.check(Linux.ioctl(machine, Kvm.SET_TSS_ADDR, TASK_STATE), "KVM_SET_TSS_ADDR");
        scratch.set(JAVA_LONG, 0, IDENTITY_MAP);
        request(Kvm.SET_IDENTITY_MAP_ADDR, scratch, "KVM_SET_IDENTITY_MAP_ADDR");
        enable(Kvm.CAP_SPLIT_IRQCHIP, IoApic.INPUTS, "local interrupt controllers");
        enable(Kvm.CAP_X86_USER_SPACE_MSR, Kvm.MSR_EXITS, "exits for model-specific registers");
        if ((Linux.ioctl(machine, Kvm.CHECK_EXTENSION, Kvm.CAP_DISABLE_QUIRKS2) & Kvm.QUIRK_LINT0_REENABLED) != 0) {
            // Else LINT0 would be open after reset, as no manual says.
            enable(Kvm.CAP_DISABLE_QUIRKS2, Kvm.QUIRK_LINT0_REENABLED, "local interrupt controllers as in the manual");
        }
        filterSynthetic();
    }

    private void enable(int capability, long argument, String what) {
        scratch.asSlice(0, 104).fill((byte) 0);
        scratch.set(JAVA_INT, 0, capability);
        scratch.set(JAVA_LONG, 8, argument);
        request(Kvm.ENABLE_CAP, scratch, what);
    }

    private void filterSynthetic() {
        int bitmap = 1024; // zeroes: to user space, both reads and writes
        scratch.asSlice(0, 2048).fill((byte) 0);
        scratch.set(JAVA_INT, 8, 3);
        scratch.set(JAVA_INT, 12, SYNTHETIC_COUNT);
        scratch.set(JAVA_INT, 16, SYNTHETIC_BASE);
        scratch.set(JAVA_LONG, 24, scratch.address() + bitmap);
        request(Kvm.X86_SET_MSR_FILTER, scratch, "a filter of model-specific registers");
    }

    private void addProcessor(int index, int shared, PartitionConfiguration configuration) {
        int fd = Kvm.check(Linux.ioctl(machine, Kvm.CREATE_VCPU, index), "processor " + index);
        MemorySegment run = Linux.map(fd, shared);
        if (run.address() == 0) {
            Linux.close(fd);
            throw new HypervisorException("the host has no memory left for a processor of KVM");
        }
        try {
            setCpuid(fd, index, configuration.cpuid());
            processors.add(new KvmProcessor(index, fd, run, configuration.handler(), ioApic, arena));
        } catch (RuntimeException | Error e) {
            Linux.unmap(run);
            Linux.close(fd);
            throw e;
        }
    }

    private static void setCpuid(int fd, int index, CpuidTable table) {
        List<CpuidTable.Entry> entries = table.entries();
        try (Arena local = Arena.ofConfined()) {
            MemorySegment list = local.allocate(8 + 40L * entries.size(), 8);
            list.set(JAVA_INT, 0, entries.size());
            long at = 8;
            for (CpuidTable.Entry entry : entries) {
                CpuidTable.Registers r = entry.registers();
                list.set(JAVA_INT, at, entry.leaf());
                list.set(JAVA_INT, at + 4, Math.max(entry.subleaf(), 0));
                list.set(JAVA_INT, at + 8, entry.subleaf() < 0 ? 0 : 1);
                boolean core = entry.leaf() == 0x8000_001e;
                list.set(JAVA_INT, at + 12, core ? index : r.eax());
                list.set(
                        JAVA_INT,
                        at + 16,
                        entry.leaf() == 1
                                ? r.ebx() & 0xffffff | index << 24
                                : core ? r.ebx() & ~0xff | index : r.ebx());
                list.set(JAVA_INT, at + 20, entry.leaf() == 0xb ? r.ecx() & ~0xff | entry.subleaf() & 0xff : r.ecx());
                list.set(JAVA_INT, at + 24, entry.leaf() == 0xb ? index : r.edx());
                at += 40;
            }
            Kvm.check(Linux.ioctl(fd, Kvm.SET_CPUID2, list), "KVM_SET_CPUID2");
        }
    }

    /** Makes time stamps count at the wanted rate where they can; returns the rate they have. */
    private long scaleTime(KvmDevice device, long wanted) {
        long host = device.tscFrequency();
        boolean close = Math.abs(wanted - host) <= host * FREQUENCY_TOLERANCE;
        if (close || device.request(Kvm.CHECK_EXTENSION, Kvm.CAP_TSC_CONTROL) <= 0) {
            return host;
        }
        for (KvmProcessor processor : processors) {
            Kvm.check(
                    Linux.ioctl(processor.descriptor(), Kvm.SET_TSC_KHZ, (wanted + 500) / 1000),
                    "time stamps at " + wanted + " Hz");
        }
        return wanted;
    }

    @Override
    public int processorCount() {
        return processors.size();
    }

    @Override
    public VirtualProcessor processor(int index) {
        return processors.get(index);
    }

    /** The descriptor of a processor, for tests that let it fail. */
    int descriptor(int index) {
        return processors.get(index).descriptor();
    }

    // ---- interrupts

    @Override
    public void setInterruptLine(int line, boolean high) {
        ioApic.setWire(line, high);
    }

    @Override
    public void signalMessage(long address, int data) {
        int _ = send(address, data);
    }

    /** How many local APICs took it; negative when none is addressed. */
    private int send(long address, int data) {
        synchronized (scratch) {
            if (closed) {
                return 0;
            }
            scratch.asSlice(0, SLOT_SIZE).fill((byte) 0);
            scratch.set(JAVA_INT, 0, (int) address);
            scratch.set(JAVA_INT, 4, (int) (address >>> 32));
            scratch.set(JAVA_INT, 8, data);
            return Linux.ioctl(machine, Kvm.SIGNAL_MSI, scratch);
        }
    }

    @Override
    public boolean deliver(InterruptMessage message) {
        return send(address(message), data(message)) > 0;
    }

    private static long address(InterruptMessage message) {
        return MESSAGE_ADDRESS
                | (long) (message.destination() & 0xff) << 12
                | (message.mode() == InterruptMessage.LOWEST_PRIORITY ? 8 : 0)
                | (message.logical() ? 4 : 0);
    }

    private static int data(InterruptMessage message) {
        return message.vector() | message.mode() << 8 | (message.level() ? 0xc000 : 0);
    }

    /** Tells KVM for which vectors it has to report the end of an interrupt. */
    @Override
    public void levelsChanged() {
        List<InterruptMessage> messages = ioApic.levelMessages();
        synchronized (scratch) {
            if (closed) {
                return;
            }
            scratch.asSlice(0, 8 + (long) ROUTE_SIZE * messages.size()).fill((byte) 0);
            scratch.set(JAVA_INT, 0, messages.size());
            long at = 8;
            for (int i = 0; i < messages.size(); i++, at += ROUTE_SIZE) {
                scratch.set(JAVA_INT, at, i);
                scratch.set(JAVA_INT, at + 4, MSI_ROUTE);
                scratch.set(JAVA_INT, at + 16, (int) address(messages.get(i)));
                scratch.set(JAVA_INT, at + 24, data(messages.get(i)));
            }
            request(Kvm.SET_GSI_ROUTING, scratch, "KVM_SET_GSI_ROUTING");
        }
    }

    @Override
    public void setExternalInterrupt(boolean high, IntSupplier acknowledge) {
        processors.getFirst().setExternal(high, acknowledge);
    }

    @Override
    public void signalNmi(int processor) {
        processors.get(processor).signalNmi();
    }

    @Override
    public Optional<Doorbell> doorbell(int port, int value, Runnable rung) {
        return doorbells.add(port, value, rung);
    }

    @Override
    public boolean setAutomaticEnd(int processor, int vector, boolean automatic) {
        return !automatic; // KVM's local APIC has no such thing
    }

    // ---- memory

    @Override
    public void flushTranslations(int caller, long mask) {
        for (KvmProcessor processor : processors) {
            if ((mask >>> processor.index() & 1) != 0) {
                processor.flushTranslations();
            }
        }
        for (KvmProcessor processor : processors) {
            if ((mask >>> processor.index() & 1) != 0) {
                processor.awaitFlush();
            }
        }
    }

    @Override
    public void memoryWritten(long address, long length) {
        slots.written(address, length);
    }

    @Override
    public void startDirtyTracking() {
        slots.startTracking();
    }

    @Override
    public void stopDirtyTracking() {
        slots.stopTracking();
    }

    @Override
    public long[] takeDirtyPages() {
        return slots.takeDirtyPages();
    }

    // ---- time and state

    @Override
    public long tscFrequency() {
        return tscFrequency;
    }

    // Here local APICs are read, changed and written back: no message may come in between, or it would be lost.

    @Override
    public void pause() {
        synchronized (scratch) {
            processors.forEach(KvmProcessor::pause);
        }
    }

    @Override
    public void resume() {
        synchronized (scratch) {
            processors.forEach(KvmProcessor::resume);
        }
    }

    @Override
    public void save(StateWriter state) {
        List<ProcessorImage> images;
        synchronized (scratch) {
            images = processors.stream().map(KvmProcessor::save).toList();
        }
        // KVM tells the end of an interrupt when the processor runs on, which it may never do.
        state.section(
                "hypervisor.ioapic",
                1,
                out -> ioApic.save(out, vector -> images.stream().anyMatch(image -> image.unfinished(vector))));
        for (int i = 0; i < images.size(); i++) {
            state.section("hypervisor.processor." + i, ProcessorImage.VERSION, images.get(i)::save);
        }
    }

    @Override
    public void restore(StateReader state) {
        ioApic.restore(state.section("hypervisor.ioapic", 1));
        levelsChanged();
        for (KvmProcessor processor : processors) {
            ProcessorImage image = new ProcessorImage();
            image.restore(state.section("hypervisor.processor." + processor.index(), ProcessorImage.VERSION));
            synchronized (scratch) {
                processor.restore(image);
            }
        }
        ioApic.raiseLevels();
    }

    @Override
    public void reset() {
        ioApic.reset();
        levelsChanged();
        synchronized (scratch) {
            processors.forEach(KvmProcessor::reset);
        }
    }

    @Override
    public void close() {
        synchronized (scratch) {
            if (closed) {
                return;
            }
            closed = true;
        }
        slots.close();
        doorbells.close();
        release();
    }

    private void release() {
        processors.forEach(KvmProcessor::close);
        while (!descriptors.isEmpty()) {
            Linux.close(descriptors.pop());
        }
        arena.close();
    }
}
