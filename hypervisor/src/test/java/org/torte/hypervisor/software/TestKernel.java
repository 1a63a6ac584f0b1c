package org.torte.hypervisor.software;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.torte.base.GuestMemory;
import org.torte.base.RandomSource;
import org.torte.base.StateContainerReader;
import org.torte.base.StateContainerWriter;
import org.torte.hypervisor.CpuState;
import org.torte.hypervisor.CpuidTable;
import org.torte.hypervisor.Partition;
import org.torte.hypervisor.PartitionConfiguration;
import org.torte.hypervisor.TranslatorMode;
import org.torte.hypervisor.VirtualProcessor;

/**
 * One of the kernels in src/test/kernels on the software processor: entered as multiboot 1 says, its output taken from
 * port 0xe9, ended by port 0xf4 or a triple fault.
 */
final class TestKernel {
    private static final int BASE = 0x10_0000;
    private static final long MEMORY = 64L << 20;
    private static final int FLAT_CODE = 0xc09b, FLAT_DATA = 0xc093, TASK = 0x8b, TABLE = 0x82;

    /** What a kernel did. */
    record Result(List<String> output, VirtualProcessor.Exit exit, CpuState state) {}

    /** An AMD processor with what the kernels test. */
    static CpuidTable cpuid() {
        return new CpuidTable.Builder()
                .leaf(0, 0xd, 0x68747541, 0x444d4163, 0x69746e65)
                .leaf(1, 0xa20f12, 0x00000800, 0x0120_2001 | 1 << 13 | 1 << 17 | 1 << 21 | 1 << 24, 0x078b_fbff)
                .subleaf(7, 0, 0, 1 | 1 << 7 | 1 << 10 | 1 << 20, 1 << 2, 0)
                .leaf(0x8000_0000, 0x8000_0008, 0, 0, 0)
                .leaf(0x8000_0001, 0xa20f12, 0, 1, 0x2810_0800)
                .leaf(0x8000_0008, 48 << 8 | 40, 0, 0, 0)
                .build();
    }

    /** The lines of a text resource beside this class. */
    static List<String> lines(String name) {
        return new String(bytes(name), StandardCharsets.UTF_8).lines().toList();
    }

    /** A resource beside this class. */
    static byte[] bytes(String name) {
        try (InputStream in = TestKernel.class.getResourceAsStream(name)) {
            if (in == null) {
                throw new IllegalArgumentException("no resource " + name);
            }
            return in.readAllBytes();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** The machine around a kernel. */
    private static final class Host extends NoDevices {
        private final StringBuilder output = new StringBuilder();
        private final int pauseEvery;
        private volatile Runnable pause = () -> {};
        private volatile boolean ended;
        private int lines;

        Host(int pauseEvery) {
            this.pauseEvery = pauseEvery;
        }

        @Override
        public void writePort(int index, int port, int size, int value) {
            if (port == 0xe9) {
                output.append((char) (value & 0xff));
                if (value == '\n' && ++lines % pauseEvery == 0) {
                    pause.run();
                }
            } else if (port == 0xf4) {
                ended = true;
                pause.run();
            }
        }
    }

    private final String name;
    private final int processors;
    private final TranslatorMode translator;
    private final Host host;
    private final ManualTimers timers = new ManualTimers();
    /** What the next partition goes on from; nothing at the kernel's entry. */
    private byte[] state = {};
    /** What a partition saves that has just been restored. */
    private byte[] restored = {};

    private TestKernel(String name, int processors, int pauseEvery) {
        this(name, processors, pauseEvery, TranslatorMode.OFF);
    }

    private TestKernel(String name, int processors, int pauseEvery, TranslatorMode translator) {
        this.translator = translator;
        this.name = name;
        this.processors = processors;
        host = new Host(pauseEvery);
    }

    /** Runs a kernel to its end on one processor, for 120 seconds at most. */
    static Result run(String name) {
        return run(name, 1);
    }

    /** Runs a kernel to the end of the first processor, for 120 seconds at most. */
    static Result run(String name, int processors) {
        return run(name, processors, TranslatorMode.OFF);
    }

    /** The same with this translator. */
    static Result run(String name, int processors, TranslatorMode translator) {
        return new TestKernel(name, processors, Integer.MAX_VALUE, translator).run();
    }

    /** Runs a kernel, and moves it into a new partition by way of its saved state after every so many lines. */
    static Result runMoving(String name, int processors, int pauseEvery) {
        return new TestKernel(name, processors, pauseEvery).run();
    }

    /** Saved state of a machine with a kernel that has just printed so many lines. */
    static byte[] stateAfter(String name, int processors, int lines) {
        TestKernel kernel = new TestKernel(name, processors, lines);
        assertThat(kernel.step()).isNull();
        return kernel.state;
    }

    /** Lets a kernel go on from saved state; gives what it prints from there to its end. */
    static Result resume(String name, int processors, byte[] state) {
        TestKernel kernel = new TestKernel(name, processors, Integer.MAX_VALUE);
        kernel.state = state;
        return kernel.run();
    }

    private Partition partition(GuestMemory memory) {
        return new SoftwareHypervisor()
                .createPartition(new PartitionConfiguration(
                                memory, processors, cpuid(), 1_000_000_000L, timers, RandomSource.seeded(1), host)
                        .withTranslator(translator));
    }

    private Result run() {
        Result result = step();
        while (result == null) {
            byte[] saved = state;
            result = step();
            assertThat(restored).isEqualTo(saved);
        }
        return result;
    }

    /** Runs to the end, or to a pause, whose state is kept. */
    private @Nullable Result step() {
        try (GuestMemory memory = GuestMemory.allocate(MEMORY);
                Partition partition = partition(memory)) {
            if (state.length == 0) {
                byte[] image = bytes(name + ".bin");
                memory.write(BASE, image, 0, image.length);
                partition.processor(0).setState(entry(memory.getInt(BASE + 28)));
            } else {
                restore(state, memory, partition);
                restored = save(memory, partition);
            }
            VirtualProcessor.Exit exit = runUntilPause(partition);
            if (host.ended || exit == VirtualProcessor.Exit.SHUTDOWN || host.lines % host.pauseEvery != 0) {
                return new Result(
                        host.output.toString().lines().toList(),
                        exit,
                        partition.processor(0).state());
            }
            state = save(memory, partition);
            return null;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private VirtualProcessor.Exit runUntilPause(Partition partition) {
        VirtualProcessor cpu = partition.processor(0);
        host.pause = cpu::cancel;
        Thread watchdog = Thread.ofVirtual().start(() -> {
            try {
                TimeUnit.SECONDS.sleep(120);
                cpu.cancel();
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        });
        List<Thread> others = new ArrayList<>();
        for (int i = 1; i < processors; i++) {
            others.add(Thread.ofPlatform().daemon().start(partition.processor(i)::run));
        }
        VirtualProcessor.Exit exit = cpu.run();
        watchdog.interrupt();
        for (int i = 1; i < processors; i++) {
            partition.processor(i).cancel();
            join(others.get(i - 1));
        }
        return exit;
    }

    private static byte[] save(GuestMemory memory, Partition partition) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        StateContainerWriter writer = new StateContainerWriter(out, "");
        partition.save(writer);
        writer.ram(memory);
        writer.finish();
        return out.toByteArray();
    }

    private static void restore(byte[] state, GuestMemory memory, Partition partition) throws IOException {
        StateContainerReader reader = new StateContainerReader(new ByteArrayInputStream(state));
        reader.readRest(memory);
        partition.restore(reader);
        reader.requireAllRead();
    }

    private static void join(Thread thread) {
        try {
            thread.join();
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    private static CpuState entry(int address) {
        CpuState state = new CpuState();
        state.rip = address & 0xffff_ffffL;
        state.gpr[CpuState.RAX] = 0x2bad_b002;
        state.cr0 = 0x11;
        CpuState.Segment data = new CpuState.Segment(0x10, 0, -1, FLAT_DATA);
        for (int i = 0; i < 6; i++) {
            state.segments[i] = data;
        }
        state.segments[CpuState.CS] = new CpuState.Segment(8, 0, -1, FLAT_CODE);
        state.segments[CpuState.LDTR] = new CpuState.Segment(0, 0, 0xffff, TABLE);
        state.segments[CpuState.TR] = new CpuState.Segment(0, 0, 0xffff, TASK);
        state.idtLimit = 0xffff;
        return state;
    }

    /** What a kernel must print: its .expected file without the marks for QEMU. */
    static List<String> expected(String name) {
        List<String> expected = new ArrayList<>();
        for (String line : lines(name + ".expected")) {
            if (!line.startsWith("#")) {
                expected.add(line.startsWith("~") ? line.substring(1) : line);
            }
        }
        return expected;
    }
}
