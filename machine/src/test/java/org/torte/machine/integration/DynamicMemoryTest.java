package org.torte.machine.integration;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.torte.machine.integration.IntegrationService.KEYBOARD;
import static org.torte.machine.integration.IntegrationService.MEMORY;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.torte.machine.vmbus.TestGuest;

@Timeout(60)
class DynamicMemoryTest {
    private static final int MIB = 1 << 20, PAGE = 4096;
    private static final int FIRST = 2048;

    private static ByteBuffer message(int type, int length) {
        return ByteBuffer.allocate(length)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putShort((short) type)
                .putShort((short) length)
                .putInt(77);
    }

    private static ByteBuffer next(ServiceGuest guest) {
        return Objects.requireNonNull(guest.nextData(MEMORY), "the host has sent nothing");
    }

    private static void connect(ServiceGuest guest) {
        guest.send(MEMORY, message(1, 16).putInt(9 << 16).putInt(0).array());
        assertThat(next(guest).getLong(8)).as("an unknown version").isZero();
        guest.send(MEMORY, message(1, 16).putInt(2 << 16).putInt(0).array());
        ByteBuffer version = next(guest);
        assertThat(version.getShort(0)).isEqualTo((short) 2);
        assertThat(version.getLong(8)).isEqualTo(1);
        guest.send(MEMORY, message(3, 32).putLong(3).putLong(0).putLong(-1).array());
        ByteBuffer capabilities = next(guest);
        assertThat(capabilities.getShort(0)).isEqualTo((short) 4);
        assertThat(capabilities.getLong(8)).isEqualTo(1);
    }

    private static void give(ServiceGuest guest, boolean more, long... ranges) {
        ByteBuffer answer = message(7, 16 + 8 * ranges.length).putInt(0).putInt(ranges.length << 1 | (more ? 1 : 0));
        for (long range : ranges) {
            answer.putLong(range);
        }
        byte[] bytes = new byte[answer.capacity()];
        answer.get(0, bytes);
        guest.send(MEMORY, bytes);
    }

    private static long range(long first, long count) {
        return first | count << 40;
    }

    private static DynamicMemory memory(ServiceGuest guest) {
        return guest.services.memory().orElseThrow();
    }

    @Test
    void pagesGoToTheHostAndComeBackEmpty() {
        try (ServiceGuest guest = new ServiceGuest(MEMORY)) {
            connect(guest);
            for (int page = FIRST; page < FIRST + 512; page++) {
                guest.guest.memory.putLong((long) page * PAGE, page);
            }
            CompletableFuture<DynamicMemory.Status> smaller = memory(guest).setSize(TestGuest.RAM - 2 * MIB);
            ByteBuffer request = next(guest);
            assertThat(request.getShort(0)).isEqualTo((short) 6);
            assertThat(request.getInt(8)).isEqualTo(512);
            give(guest, true, range(FIRST, 256));
            give(guest, false, range(FIRST + 300, 56), range(FIRST + 256, 44), range(FIRST + 356, 156));
            DynamicMemory.Status status = smaller.join();
            assertThat(status.assigned()).isEqualTo(TestGuest.RAM - 2 * MIB);
            assertThat(status.limited()).isFalse();
            assertThat(status.refused()).isZero();
            assertThat(guest.guest.memory.nextData((long) FIRST * PAGE, (FIRST + 512L) * PAGE))
                    .as("they occupy nothing")
                    .isEqualTo((FIRST + 512L) * PAGE);
            CompletableFuture<DynamicMemory.Status> larger = memory(guest).setSize(TestGuest.RAM);
            ByteBuffer back = next(guest);
            assertThat(back.getShort(0)).isEqualTo((short) 8);
            assertThat(back.getInt(12)).isEqualTo(1);
            assertThat(back.getLong(16)).isEqualTo(range(FIRST, 512));
            assertThat(larger).isNotDone();
            guest.send(MEMORY, message(9, 8).array());
            assertThat(larger.join().assigned()).isEqualTo(TestGuest.RAM);
        }
    }

    @Test
    void pagesThatTheGuestDoesNotHaveAreRefused() {
        try (ServiceGuest guest = new ServiceGuest(MEMORY)) {
            connect(guest);
            CompletableFuture<DynamicMemory.Status> smaller = memory(guest).setSize(TestGuest.RAM - MIB);
            next(guest);
            give(
                    guest,
                    true,
                    range(FIRST, 10),
                    range(FIRST, 10),
                    range(FIRST + 5, 10),
                    range(4096, 1),
                    range(4090, 100),
                    range((1L << 40) - 1, (1 << 24) - 1),
                    range(FIRST, 0));
            give(guest, false);
            DynamicMemory.Status status = smaller.join();
            assertThat(status.limited()).isTrue();
            assertThat(status.assigned()).isEqualTo(TestGuest.RAM - (15 + 6) * PAGE);
            assertThat(status.refused()).isEqualTo(10 + 5 + 1 + 94 + (1 << 24) - 1);
            give(guest, false, range(FIRST + 100, 10));
            assertThat(memory(guest).status().assigned()).as("unasked").isEqualTo(status.assigned());
        }
    }

    @Test
    void moreThanWasAskedForIsNotTaken() {
        try (ServiceGuest guest = new ServiceGuest(MEMORY)) {
            connect(guest);
            CompletableFuture<DynamicMemory.Status> smaller = memory(guest).setSize(TestGuest.RAM - MIB);
            next(guest);
            give(guest, false, range(FIRST, 1000));
            assertThat(smaller.join().assigned()).isEqualTo(TestGuest.RAM - MIB);
            assertThat(smaller.join().refused()).isEqualTo(1000 - 256);
        }
    }

    @Test
    void scatteredPagesComeBackInSeveralMessages() {
        try (ServiceGuest guest = new ServiceGuest(MEMORY)) {
            connect(guest);
            CompletableFuture<DynamicMemory.Status> smaller = memory(guest).setSize(TestGuest.RAM - 4 * MIB);
            next(guest);
            long[] ranges = new long[500];
            for (int part = 0; part < 2; part++) {
                for (int i = 0; i < ranges.length; i++) {
                    ranges[i] = range(1000 + 2 * (500 * part + i), 1);
                }
                give(guest, part == 0, ranges);
            }
            assertThat(smaller.join().assigned()).isEqualTo(TestGuest.RAM - 1000 * PAGE);
            CompletableFuture<DynamicMemory.Status> larger = memory(guest).setSize(TestGuest.RAM);
            int pages = 0;
            int messages = 0;
            for (ByteBuffer back = guest.nextData(MEMORY); back != null; back = guest.nextData(MEMORY)) {
                assertThat(back.getShort(2) & 0xffff).isLessThanOrEqualTo(MemoryMessage.MAX_LENGTH);
                pages += back.getInt(12);
                messages++;
                guest.send(MEMORY, message(9, 8).array());
            }
            assertThat(pages).isEqualTo(1000);
            assertThat(messages).isEqualTo(2);
            assertThat(larger.join().assigned()).isEqualTo(TestGuest.RAM);
        }
    }

    @Test
    void pressureIsReportedAndASizeOutlastsRestarts() {
        try (ServiceGuest guest = new ServiceGuest(MEMORY)) {
            assertThatThrownBy(() -> memory(guest).setSize(TestGuest.RAM - MIB).join())
                    .isInstanceOf(CompletionException.class)
                    .hasMessageContaining("hv_balloon");
            connect(guest);
            assertThat(next(guest).getInt(8)).as("what was wanted before").isEqualTo(256);
            guest.send(
                    MEMORY,
                    message(5, 48)
                            .putLong(1000)
                            .putLong(2000)
                            .putLong(0)
                            .putLong(0)
                            .putInt(0)
                            .putInt(0)
                            .array());
            assertThat(memory(guest).status().available()).isEqualTo(1000 * PAGE);
            assertThat(memory(guest).status().committed()).isEqualTo(2000 * PAGE);
        }
    }

    @Test
    void aMachineSavedWhileMemoryMovesGoesOn() {
        try (ServiceGuest guest = new ServiceGuest(MEMORY)) {
            connect(guest);
            CompletableFuture<DynamicMemory.Status> _ = memory(guest).setSize(TestGuest.RAM - 2 * MIB);
            next(guest);
            give(guest, true, range(FIRST, 200));
            byte[] saved = guest.save();
            guest.restore(saved);
            assertThat(guest.save()).isEqualTo(saved);
            guest.goOn();
            give(guest, false, range(FIRST + 200, 312));
            assertThat(memory(guest).status().assigned()).isEqualTo(TestGuest.RAM - 2 * MIB);
            CompletableFuture<DynamicMemory.Status> _ = memory(guest).setSize(TestGuest.RAM);
            byte[] returning = guest.save();
            guest.restore(returning);
            guest.goOn();
            next(guest);
            guest.send(MEMORY, message(9, 8).array());
            DynamicMemory.Status status = memory(guest).setSize(TestGuest.RAM).join();
            assertThat(status.assigned()).isEqualTo(TestGuest.RAM);
        }
    }

    @Test
    void keysAreTypedOnceTheGuestHasAKeyboard() {
        try (ServiceGuest guest = new ServiceGuest(KEYBOARD)) {
            Keyboard keyboard = guest.services.keyboard().orElseThrow();
            assertThatThrownBy(() -> keyboard.press(KeyStroke.of("a")))
                    .isInstanceOf(ServiceException.class)
                    .hasMessageContaining("hyperv_keyboard");
            guest.send(KEYBOARD, new byte[] {1, 0, 0, 0, 0, 0, 2, 0});
            assertThat(Objects.requireNonNull(guest.nextData(KEYBOARD)).getInt(4))
                    .isZero();
            guest.send(KEYBOARD, new byte[] {1, 0, 0, 0, 0, 0, 1, 0});
            ByteBuffer answer = Objects.requireNonNull(guest.nextData(KEYBOARD));
            assertThat(answer.getInt(0)).isEqualTo(2);
            assertThat(answer.getInt(4)).isEqualTo(1);
            String text = "Hello, World! ".repeat(80);
            keyboard.press(KeyStroke.of(text));
            List<Integer> codes = read(guest);
            byte[] saved = guest.save();
            guest.restore(saved);
            assertThat(guest.save()).isEqualTo(saved);
            guest.goOn();
            List<Integer> more = read(guest);
            while (!more.isEmpty()) {
                codes.addAll(more);
                more = read(guest);
            }
            assertThat(codes)
                    .containsExactlyElementsOf(
                            KeyStroke.of(text).stream().map(KeyStroke::code).toList());
            assertThatThrownBy(() -> guest.services.keyboard().orElseThrow().press(KeyStroke.of("a".repeat(2049))))
                    .isInstanceOf(ServiceException.class);
        }
    }

    private static List<Integer> read(ServiceGuest guest) {
        List<Integer> codes = new ArrayList<>();
        for (ByteBuffer event = guest.nextData(KEYBOARD); event != null; event = guest.nextData(KEYBOARD)) {
            codes.add((int) event.getShort(4));
        }
        return codes;
    }
}
