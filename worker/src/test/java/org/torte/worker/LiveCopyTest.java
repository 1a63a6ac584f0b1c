package org.torte.worker;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.torte.base.GuestMemory;
import org.torte.base.MemorySink;
import org.torte.hypervisor.LiveCopy;
import org.torte.hypervisor.TranslatorMode;

/** Memory is copied while a guest writes to it without end, in pages that must agree with each other at every moment. */
@Timeout(300)
class LiveCopyTest {
    private static final int MEMORY = 64 << 20, ADDRESS = 1 << 20, HEADER = 32;
    /** The pages that the guest writes in turn, and how many: more than what ends the rounds. */
    private static final int FIRST = 8 << 20, PAGES = 3000;

    /** Percent of a processor of the host that its owner leaves the guest. */
    private static final int LIMIT = 80, FULL = LIMIT * 10;

    @TempDir
    Path folder;

    private final ByteArrayOutputStream said = new ByteArrayOutputStream();

    private static VirtualMachine.Builder builder(TranslatorMode executor) {
        return VirtualMachine.builder().hypervisor("software").translator(executor);
    }

    private String said() {
        return said.toString(StandardCharsets.ISO_8859_1);
    }

    /**
     * A multiboot kernel. Each of its passes finds the number of the pass before in the first and last words of all pages,
     * puts its own there, page by page, and says a dot; if one is wrong, it says X and stops.
     *
     * @param passes after so many passes it starts again from the beginning; 0 for never
     */
    private Path kernel(int passes) throws IOException {
        ByteBuffer code = ByteBuffer.allocate(256).order(ByteOrder.LITTLE_ENDIAN);
        say(code, 'B');
        put(code, 0x31, 0xed); // xor ebp, ebp
        int pass = code.position();
        put(code, 0x45, 0xbf).putInt(FIRST); // inc ebp; mov edi, FIRST
        put(code, 0xb9).putInt(PAGES); // mov ecx, PAGES
        int page = code.position();
        put(code, 0x8d, 0x45, 0xff); // lea eax, [ebp - 1]
        put(code, 0x39, 0x07, 0x75, 0); // cmp [edi], eax; jne wrong
        int first = code.position();
        put(code, 0x39, 0x87).putInt(4092); // cmp [edi + 4092], eax
        put(code, 0x75, 0); // jne wrong
        int second = code.position();
        put(code, 0x89, 0x2f, 0x89, 0xaf).putInt(4092); // mov [edi], ebp; mov [edi + 4092], ebp
        put(code, 0x81, 0xc7).putInt(4096); // add edi, 4096
        put(code, 0x49, 0x75, 0); // dec ecx; jnz page
        code.put(code.position() - 1, (byte) (page - code.position()));
        say(code, '.');
        if (passes > 0) {
            put(code, 0x81, 0xfd).putInt(passes); // cmp ebp, passes
            put(code, 0x72, 0); // jb pass
            code.put(code.position() - 1, (byte) (pass - code.position()));
            put(code, 0x66, 0xba, 0xf9, 0x0c, 0xb0, 6, 0xee, 0xf4); // the reset register's value; hlt
        } else {
            put(code, 0xe9).putInt(pass - code.position() - 4); // jmp pass
        }
        code.put(first - 1, (byte) (code.position() - first));
        code.put(second - 1, (byte) (code.position() - second));
        say(code, 'X');
        put(code, 0xfa, 0xf4, 0xeb, 0xfd); // cli; hlt; jmp to the hlt
        ByteBuffer image = ByteBuffer.allocate(HEADER + code.position()).order(ByteOrder.LITTLE_ENDIAN);
        int magic = 0x1bad_b002;
        int flags = 1 << 16;
        image.putInt(magic).putInt(flags).putInt(-(magic + flags));
        image.putInt(ADDRESS).putInt(ADDRESS).putInt(0).putInt(0).putInt(ADDRESS + HEADER);
        image.put(code.array(), 0, code.position());
        return Files.write(folder.resolve("kernel-" + passes), image.array());
    }

    private static ByteBuffer put(ByteBuffer code, int... bytes) {
        for (int one : bytes) {
            code.put((byte) one);
        }
        return code;
    }

    private static void say(ByteBuffer code, char what) {
        put(code, 0x66, 0xba, 0xf8, 0x03, 0xb0, what, 0xee);
    }

    private VirtualMachine running(TranslatorMode executor, int passes) throws IOException {
        VirtualMachine machine = builder(executor)
                .kernel(kernel(passes))
                .memory(MEMORY)
                .consoleOutput(said)
                .build();
        machine.start();
        machine.console().waitForText("...", Duration.ofMinutes(2));
        return machine;
    }

    /** Puts what comes into other memory, and counts it. */
    private record Copy(GuestMemory to, AtomicInteger pages) implements MemorySink {
        @Override
        public void pages(long address, byte[] bytes, int length) {
            to.write(address, bytes, 0, length);
            pages.addAndGet(length / GuestMemory.PAGE_SIZE);
        }

        @Override
        public void zeroes(long address, long length) {
            to.release(address, length);
        }

        void requireSame(GuestMemory memory) {
            assertThat(memory.segment().mismatch(to.segment())).isEqualTo(-1);
        }
    }

    private static int copyOnce(VirtualMachine machine) {
        try (GuestMemory to = GuestMemory.allocate(MEMORY)) {
            Copy copy = new Copy(to, new AtomicInteger());
            machine.copyMemory(copy, copy::requireSame);
            return copy.pages.get();
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"OFF", "ON"})
    void everyPageThatTheGuestWritesIsInTheCopyAsItIsInTheEnd(TranslatorMode executor) throws IOException {
        try (VirtualMachine machine = running(executor, 0)) {
            for (int i = 0; i < 5; i++) {
                assertThat(copyOnce(machine)).isGreaterThan(PAGES);
            }
            assertThat(said()).doesNotContain("X");
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"OFF", "ON"})
    void aGuestThatStartsAgainMeanwhileIsCopiedAsWell(TranslatorMode executor) throws IOException {
        try (VirtualMachine machine = running(executor, 20)) {
            while (starts() < 4) {
                int _ = copyOnce(machine);
            }
            assertThat(said()).doesNotContain("X");
        }
    }

    private long starts() {
        return said().chars().filter(c -> c == 'B').count();
    }

    @ParameterizedTest
    @EnumSource(names = {"OFF", "ON"})
    void aCheckpointOfAGuestThatWritesWithoutEndIsOneMomentFromWhichItGoesOn(TranslatorMode executor)
            throws IOException {
        Path memory = folder.resolve("memory");
        try (VirtualMachine machine = running(executor, 0)) {
            VirtualMachine.Checkpointed done = machine.checkpoint(Optional.of(memory), Map.of(), (_, _) -> {});
            assertThat(done.copied().orElseThrow().rounds()).isPositive();
            assertThat(Files.size(memory)).isBetween((long) PAGES << 12, (long) MEMORY * 5 / 2);
            assertThat(machine.state()).isEqualTo(VirtualMachine.State.RUNNING);
            assertThat(said()).doesNotContain("X");
        }
        said.reset();
        try (VirtualMachine again =
                        builder(executor).savedState(memory).consoleOutput(said).build();
                GuestMemory to = GuestMemory.allocate(MEMORY)) {
            again.copyMemory(new Copy(to, new AtomicInteger()), LiveCopyTest::requireOneMoment);
            again.start();
            again.console().waitForText("...", Duration.ofMinutes(2));
        }
        assertThat(said()).containsPattern("^\\.+$");
    }

    @ParameterizedTest
    @EnumSource(names = {"OFF", "ON"})
    void aMachineGoesOnWithoutTheTranslatorThatItWasSavedWithAndWithOneThatItHadNot(TranslatorMode executor)
            throws IOException {
        Path memory = folder.resolve("memory");
        try (VirtualMachine machine = running(executor, 0)) {
            VirtualMachine.Checkpointed _ = machine.checkpoint(Optional.of(memory), Map.of(), (_, _) -> {});
        }
        said.reset();
        TranslatorMode other = executor == TranslatorMode.ON ? TranslatorMode.OFF : TranslatorMode.ON;
        try (VirtualMachine again =
                builder(other).savedState(memory).consoleOutput(said).build()) {
            again.start();
            again.console().waitForText("...", Duration.ofMinutes(2));
        }
        assertThat(said()).containsPattern("^\\.+$");
    }

    /** A sink that is slower than the guest, however slow that is: it waits until the guest has written all pages once more. */
    private static final class Slow implements MemorySink {
        private final VirtualMachine machine;
        private final Runnable slowedDown;
        /** A round begins anew with the lowest address. */
        private long last = Long.MAX_VALUE;

        Slow(VirtualMachine machine, Runnable slowedDown) {
            this.machine = machine;
            this.slowedDown = slowedDown;
        }

        @Override
        public void pages(long address, byte[] bytes, int length) {
            long before = address > last ? 0 : passes();
            last = address;
            while (passes() < before + 2 && machine.state() == VirtualMachine.State.RUNNING) {
                Thread.onSpinWait();
            }
            if (machine.effectiveProcessorLimit() < FULL) {
                slowedDown.run();
            }
        }

        /** Each ends with a dot; what has come to the console may be late. */
        private long passes() {
            return machine.statistics().portWrites();
        }

        @Override
        public void zeroes(long address, long length) {}
    }

    @Test
    void aGuestThatWritesFasterThanItIsCopiedIsSlowedDownUntilTheLastMoment() throws IOException {
        try (VirtualMachine machine = running(TranslatorMode.OFF, 0)) {
            machine.limitProcessors(LIMIT);
            AtomicInteger least = new AtomicInteger(FULL);
            LiveCopy.Copied copied = machine.copyMemory(
                    new Slow(machine, () -> least.set(machine.effectiveProcessorLimit())),
                    _ -> assertThat(machine.effectiveProcessorLimit()).isEqualTo(FULL));
            assertThat(copied.speed()).isBetween(2, 3);
            assertThat(least.get()).isBetween(1, 2);
            assertThat(copied.again()).isLessThan((MEMORY >> 12) * 2L);
            assertThat(machine.processorLimit()).isEqualTo(LIMIT);
            assertThat(said()).doesNotContain("X");
        }
    }

    @Test
    void aGuestThatWasSlowedDownHasItsSpeedBackWhateverEndsTheCopying() throws IOException {
        try (VirtualMachine machine = running(TranslatorMode.OFF, 0)) {
            machine.limitProcessors(LIMIT);
            assertThatThrownBy(() -> machine.copyMemory(
                            new Slow(machine, () -> {
                                throw new InputException("the disk is full");
                            }),
                            _ -> {}))
                    .hasMessage("the disk is full");
            assertThat(machine.effectiveProcessorLimit()).isEqualTo(FULL);
            assertThat(machine.state()).isEqualTo(VirtualMachine.State.RUNNING);
            assertThatThrownBy(() -> machine.copyMemory(new Slow(machine, machine::powerOff), _ -> {}))
                    .hasMessageContaining("has ended");
            assertThat(machine.effectiveProcessorLimit()).isEqualTo(FULL);
            assertThat(machine.awaitExit(Duration.ofMinutes(1))).isEqualTo(new ExitReport.Stopped());
        }
    }

    /** The pages before the one that is being written have this pass's number, those behind it the last one's. */
    private static void requireOneMoment(GuestMemory memory) {
        int now = memory.getInt(FIRST);
        int steps = 0;
        for (int i = 0; i < PAGES; i++) {
            long page = FIRST + ((long) i << 12);
            for (long at : new long[] {page, page + 4092}) {
                int value = memory.getInt(at);
                if (value != now) {
                    assertThat(value).as("page %d", i).isEqualTo(now - 1);
                    now = value;
                    steps++;
                }
            }
        }
        assertThat(steps).isLessThanOrEqualTo(1);
    }
}
