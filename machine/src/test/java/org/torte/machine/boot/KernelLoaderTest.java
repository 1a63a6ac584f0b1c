package org.torte.machine.boot;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.torte.hypervisor.CpuState.CS;
import static org.torte.hypervisor.CpuState.RAX;
import static org.torte.hypervisor.CpuState.RBX;
import static org.torte.hypervisor.CpuState.RSI;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.SplittableRandom;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.torte.base.GuestMemory;
import org.torte.hypervisor.CpuState;
import org.torte.hypervisor.VirtualProcessor;
import org.torte.machine.BootTarget;
import org.torte.machine.MemoryMap;
import org.torte.machine.MemoryRange;

class KernelLoaderTest {
    private static final long RSDP = 0xe0000;
    private static final byte[] CODE = TestImages.code(1);

    @TempDir
    Path folder;

    private final GuestMemory memory = GuestMemory.allocate(64 << 20);
    private final RecordedProcessor processor = new RecordedProcessor();

    @AfterEach
    void free() {
        memory.close();
    }

    @ParameterizedTest
    @EnumSource(names = {"GZIP", "XZ", "LZ4", "ZSTD"})
    void aPackedLinuxIsUnpackedAndEnteredDirectly(Packing packing) throws IOException {
        byte[] elf = TestImages.elf64(CODE, true);

        KernelLoader loader = load(TestImages.bzImage(TestImages.pack(packing, elf), true), List.of(), "quiet");

        assertThat(loader.description())
                .isEqualTo("Linux 9.8.7-test (bzImage, " + packing.label() + ", entered directly)");
        assertThat(processor.started().rip).isEqualTo(TestImages.ENTRY);
        assertThat(processor.started().cr0 & 0x80000001L).isEqualTo(0x80000001L);
        assertThat(processor.started().segments[CS].attributes() & 0x2000).isNotZero();
        assertThat(bytes(TestImages.LOAD_ADDRESS, CODE.length)).isEqualTo(CODE);
    }

    @Test
    void aPackingOnlyTheKernelKnowsIsLeftToIt() throws IOException {
        byte[] image = TestImages.bzImage(TestImages.pack(Packing.BZIP2, CODE), true);

        KernelLoader loader = load(image, List.of(), "");

        assertThat(loader.description()).contains("bzip2, unpacks itself");
        assertThat(processor.started().rip).isEqualTo(TestImages.LOAD_ADDRESS + 0x200);
        assertThat(bytes(TestImages.LOAD_ADDRESS, 16)).isEqualTo(java.util.Arrays.copyOfRange(image, 2560, 2576));
    }

    @Test
    void a32BitLinuxStartsAtIts32BitEntry() throws IOException {
        load(TestImages.bzImage(TestImages.pack(Packing.GZIP, CODE), false), List.of(), "");

        assertThat(processor.started().rip).isEqualTo(TestImages.LOAD_ADDRESS);
        assertThat(processor.started().cr0 & 0x80000000L).isZero();
    }

    @Test
    void theZeroPageDescribesTheMachine() throws IOException {
        byte[] disk = TestImages.code(2);
        byte[] image = TestImages.bzImage(TestImages.pack(Packing.GZIP, TestImages.elf64(CODE, false)), true);

        load(image, List.of(file("disk", disk)), "console=ttyS0");

        long page = processor.started().gpr[RSI];
        assertThat(memory.getInt(page + 0x202)).isEqualTo(0x53726448);
        assertThat(memory.getByte(page + 0x210)).isEqualTo(0xff);
        assertThat(memory.getLong(page + 0x70)).isEqualTo(RSDP);
        assertThat(memory.getByte(page + 0x1e8)).isEqualTo(target().memoryMap().size());
        assertThat(memory.getLong(page + 0x2d0 + 8)).isEqualTo(MemoryMap.LOW_RAM_END);
        assertThat(text(memory.getInt(page + 0x228))).isEqualTo("console=ttyS0");
        assertThat(memory.getInt(page + 0x21c)).isEqualTo(disk.length);
        long diskAddress = memory.getInt(page + 0x218);
        assertThat(diskAddress % 4096).isZero();
        assertThat(bytes(diskAddress, disk.length)).isEqualTo(disk);
        assertThat(memory.getByte(page + 0x1ef)).as("sentinel").isZero();
    }

    @Test
    void thePageTablesMapTheLowest4GiBToThemselves() throws IOException {
        load(TestImages.bzImage(TestImages.pack(Packing.GZIP, TestImages.elf64(CODE, false)), true), List.of(), "");

        for (long address : new long[] {0, TestImages.ENTRY, 0xffff_ffffL}) {
            long entry = memory.getLong(processor.started().cr3 + (address >>> 39) * 8);
            entry = memory.getLong((entry & ~0xfffL) + (address >>> 30 & 511) * 8);
            entry = memory.getLong((entry & ~0xfffL) + (address >>> 21 & 511) * 8);
            assertThat(entry & 0x83).isEqualTo(0x83);
            assertThat(entry & ~0x1fffffL).isEqualTo(address & ~0x1fffffL);
        }
    }

    @Test
    void anElfFileWithAPvhNoteGetsItsStartInformation() throws IOException {
        KernelLoader loader = load(TestImages.elf64(CODE, true), List.of(file("a", CODE), file("b", CODE)), "one two");

        assertThat(loader.description()).contains("PVH");
        assertThat(processor.started().rip).isEqualTo(TestImages.ENTRY);
        long start = processor.started().gpr[RBX];
        assertThat(memory.getInt(start)).isEqualTo(0x336ec578);
        assertThat(memory.getInt(start + 12)).isEqualTo(2);
        assertThat(text(memory.getLong(start + 24))).isEqualTo("one two");
        assertThat(memory.getLong(start + 32)).isEqualTo(RSDP);
        long second = memory.getLong(start + 16) + 32;
        assertThat(bytes(memory.getLong(second), CODE.length)).isEqualTo(CODE);
        assertThat(memory.getLong(second + 8)).isEqualTo(CODE.length);
        assertThat(memory.getInt(start + 48)).isEqualTo(target().memoryMap().size());
    }

    @Test
    void aMultibootElfGetsModulesWithTheirCommandLines() throws IOException {
        Path module = folder.resolve("mod");
        Files.write(module, CODE);

        load(TestImages.multibootElf(3), List.of(new BootSource.Module(module, "x y")), "argument");

        CpuState state = processor.started();
        assertThat(state.gpr[RAX]).isEqualTo(0x2badb002);
        assertThat(state.rip).isEqualTo(0x400010);
        long info = state.gpr[RBX];
        assertThat(memory.getInt(info) & 0x4d).isEqualTo(0x4d);
        assertThat(memory.getInt(info + 4)).isEqualTo(640);
        assertThat(memory.getInt(info + 8)).isEqualTo(63 << 10);
        assertThat(text(memory.getInt(info + 16))).isEqualTo(folder.resolve("kernel") + " argument");
        long list = memory.getInt(info + 24);
        assertThat(memory.getInt(info + 20)).isOne();
        assertThat(bytes(memory.getInt(list), CODE.length)).isEqualTo(CODE);
        assertThat(memory.getInt(list + 4) - memory.getInt(list)).isEqualTo(CODE.length);
        assertThat(text(memory.getInt(list + 8))).isEqualTo(module + " x y");
        assertThat(memory.getInt(memory.getInt(info + 48))).isEqualTo(20);
    }

    @Test
    void aFlatMultibootImageIsLoadedWhereItsHeaderSays() throws IOException {
        load(TestImages.multibootFlat(), List.of(), "");

        assertThat(processor.started().rip).isEqualTo(0x200080);
        assertThat(memory.getByte(0x200080)).isEqualTo(0xf4);
    }

    @Test
    void aKernelThatDoesNotFitIsRefusedWithARemedy() throws IOException {
        byte[] image = TestImages.bzImage(TestImages.pack(Packing.GZIP, TestImages.elf64(CODE, false)), true);
        Path kernel = Files.write(folder.resolve("kernel"), image);
        try (GuestMemory small = GuestMemory.allocate(8 << 20)) {
            BootTarget target = new BootTarget(small, MemoryMap.describe(small), RSDP, processor);

            assertThatThrownBy(() -> new KernelLoader(new BootSource(kernel, List.of(), "")).load(target))
                    .isInstanceOf(BootException.class)
                    .hasMessageContaining("--memory");
        }
    }

    @Test
    void anInitialRamDiskNeverOverlapsTheKernel() throws IOException {
        byte[] image = TestImages.bzImage(TestImages.pack(Packing.GZIP, TestImages.elf64(CODE, false)), true);
        BootSource.Module large = file("large", new byte[60 << 20]);

        assertThatThrownBy(() -> load(image, List.of(large), ""))
                .isInstanceOf(BootException.class)
                .hasMessageContaining("no room for the initial RAM disk")
                .hasMessageContaining("--memory");
    }

    @Test
    void linuxTakesOneInitialRamDisk() {
        assertThatThrownBy(() -> load(
                        TestImages.bzImage(TestImages.pack(Packing.GZIP, TestImages.elf64(CODE, false)), true),
                        List.of(file("a", CODE), file("b", CODE)),
                        ""))
                .isInstanceOf(BootException.class)
                .hasMessageContaining("one initial RAM disk");
    }

    @Test
    void anOverlongCommandLineIsRefused() {
        assertThatThrownBy(() -> load(
                        TestImages.bzImage(TestImages.pack(Packing.GZIP, TestImages.elf64(CODE, false)), true),
                        List.of(),
                        "x".repeat(256)))
                .isInstanceOf(BootException.class)
                .hasMessageContaining("at most 255");
    }

    @Test
    void missingFilesAreNamed() {
        Path missing = folder.resolve("nothing");

        assertThatThrownBy(() -> new KernelLoader(new BootSource(missing, List.of(), "")).load(target()))
                .isInstanceOf(BootException.class)
                .hasMessage("there is no kernel " + missing + "; check the path");
        assertThatThrownBy(() -> new KernelLoader(new BootSource(folder, List.of(), "")).load(target()))
                .isInstanceOf(BootException.class)
                .hasMessageContaining("is a directory");
        assertThatThrownBy(() -> load(TestImages.elf64(CODE, true), List.of(new BootSource.Module(missing, "")), ""))
                .isInstanceOf(BootException.class)
                .hasMessageContaining("there is no initial RAM disk " + missing);
    }

    @Test
    void whatIsNoKernelIsRefused() {
        assertThatThrownBy(() -> load("#!/bin/sh\n".getBytes(StandardCharsets.UTF_8), List.of(), ""))
                .isInstanceOf(BootException.class)
                .hasMessageContaining("neither a Linux bzImage");
        assertThatThrownBy(() -> load(new byte[0], List.of(), ""))
                .isInstanceOf(BootException.class)
                .hasMessageContaining("is empty");
        assertThatThrownBy(() -> load(TestImages.multibootElf(4), List.of(), ""))
                .isInstanceOf(BootException.class)
                .hasMessageContaining("video mode");
    }

    @Test
    void everyTruncationOfEveryImageIsRefusedOrLoads() throws IOException {
        for (byte[] image : images()) {
            for (int length = 1; length < image.length; length += 1 + length / 37) {
                loadOrRefuse(java.util.Arrays.copyOf(image, length), "length " + length);
            }
        }
    }

    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3})
    void damagedImagesAreRefusedOrLoadButNeverThrowAnythingElse(long seed) throws IOException {
        SplittableRandom random = new SplittableRandom(seed);
        for (byte[] image : images()) {
            int head = Math.min(image.length, 0x1040);
            for (int round = 0; round < 400; round++) {
                byte[] damaged = image.clone();
                int changes = 1 + random.nextInt(4);
                for (int i = 0; i < changes; i++) {
                    // Headers matter most; the interesting values are those at the edges.
                    int at = random.nextInt(random.nextInt(4) == 0 ? image.length : head);
                    damaged[at] = switch (random.nextInt(4)) {
                        case 0 -> (byte) 0xff;
                        case 1 -> 0;
                        case 2 -> (byte) 0x80;
                        default -> (byte) random.nextInt();
                    };
                }
                loadOrRefuse(damaged, "seed " + seed + " round " + round);
            }
        }
    }

    private static List<byte[]> images() throws IOException {
        byte[] elf = TestImages.elf64(CODE, true);
        return List.of(
                elf,
                TestImages.multibootElf(3),
                TestImages.multibootFlat(),
                TestImages.bzImage(TestImages.pack(Packing.LZ4, elf), true),
                TestImages.bzImage(TestImages.pack(Packing.GZIP, elf), true),
                TestImages.bzImage(TestImages.pack(Packing.XZ, elf), true),
                TestImages.bzImage(TestImages.pack(Packing.ZSTD, elf), true));
    }

    private void loadOrRefuse(byte[] image, String context) throws IOException {
        try {
            load(image, List.of(), "x");
        } catch (BootException e) {
            assertThat(e).as(context).message().isNotBlank().doesNotContain("\n");
        } catch (RuntimeException | Error e) {
            throw new AssertionError(context, e);
        }
    }

    private KernelLoader load(byte[] kernel, List<BootSource.Module> modules, String commandLine) throws IOException {
        KernelLoader loader =
                new KernelLoader(new BootSource(Files.write(folder.resolve("kernel"), kernel), modules, commandLine));
        loader.load(target());
        return loader;
    }

    private BootTarget target() {
        List<MemoryRange> map = MemoryMap.describe(memory);
        return new BootTarget(memory, map, RSDP, processor);
    }

    private BootSource.Module file(String name, byte[] content) throws IOException {
        return new BootSource.Module(Files.write(folder.resolve(name), content), "");
    }

    private byte[] bytes(long address, int length) {
        byte[] bytes = new byte[length];
        memory.read(address, bytes, 0, length);
        return bytes;
    }

    private String text(long address) {
        StringBuilder text = new StringBuilder();
        for (long at = address; memory.getByte(at) != 0; at++) {
            text.append((char) memory.getByte(at));
        }
        return text.toString();
    }

    /** Takes a start state. */
    private static final class RecordedProcessor implements VirtualProcessor {
        private @Nullable CpuState state;

        CpuState started() {
            return java.util.Objects.requireNonNull(state);
        }

        @Override
        public int index() {
            return 0;
        }

        @Override
        public Exit run() {
            throw new UnsupportedOperationException("this processor only records");
        }

        @Override
        public void cancel() {}

        @Override
        public CpuState state() {
            return started();
        }

        @Override
        public void setState(CpuState newState) {
            state = newState;
        }

        @Override
        public long register(int number) {
            return started().gpr[number];
        }

        @Override
        public void setRegister(int number, long value) {
            started().gpr[number] = value;
        }

        @Override
        public long vectorRegister(int number, int half) {
            return 0;
        }

        @Override
        public long timeStamp() {
            return 0;
        }

        @Override
        public long runTime() {
            return 0;
        }

        @Override
        public long instructions() {
            return 0;
        }
    }
}
