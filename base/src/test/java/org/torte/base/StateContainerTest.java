package org.torte.base;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class StateContainerTest {
    private static final int SIZE = 4 << 20;

    private static byte[] container() {
        try (GuestMemory memory = GuestMemory.allocate(SIZE)) {
            memory.putInt(0x1000, 42);
            memory.putInt(0x2ffc, 43);
            memory.putInt(SIZE - 4, 44);
            memory.putInt(0x5000, 45);
            memory.putInt(0x5000, 0);
            ByteArrayOutputStream out = new ByteArrayOutputStream();
            StateContainerWriter writer = new StateContainerWriter(out, "memory = 4\n");
            writer.section(
                    "test.values",
                    2,
                    body -> body.putBoolean(true)
                            .putByte(200)
                            .putInt(-5)
                            .putLong(Long.MIN_VALUE)
                            .putBytes(new byte[] {1, 2, 3})
                            .putString("Grüße")
                            .putInts(new int[] {7, 8})
                            .putLongs(new long[] {9}));
            writer.ram(memory);
            writer.optionalSection("test.hint", 1, body -> body.putInt(1));
            writer.finish();
            return out.toByteArray();
        }
    }

    private static void check(byte[] container) throws IOException {
        try (GuestMemory memory = GuestMemory.allocate(SIZE)) {
            StateContainerReader reader = new StateContainerReader(new ByteArrayInputStream(container));
            assertThat(reader.definition()).isEqualTo("memory = 4\n");
            reader.readRest(memory);
            StateInput in = reader.section("test.values", 3);
            assertThat(in.version()).isEqualTo(2);
            assertThat(in.getBoolean()).isTrue();
            assertThat(in.getByte()).isEqualTo(200);
            assertThat(in.getInt()).isEqualTo(-5);
            assertThat(in.getLong()).isEqualTo(Long.MIN_VALUE);
            assertThat(in.getBytes()).containsExactly(1, 2, 3);
            assertThat(in.getString()).isEqualTo("Grüße");
            int[] ints = new int[2];
            in.getInts(ints);
            assertThat(ints).containsExactly(7, 8);
            long[] longs = new long[1];
            in.getLongs(longs);
            assertThat(longs).containsExactly(9);
            assertThatThrownBy(in::getByte).isInstanceOf(StateException.class).hasMessageContaining("test.values");
            assertThat(memory.getInt(0x1000)).isEqualTo(42);
            assertThat(memory.getInt(0x2ffc)).isEqualTo(43);
            assertThat(memory.getInt(SIZE - 4)).isEqualTo(44);
            reader.requireAllRead();
        }
    }

    @Test
    void whatWasWrittenIsReadAndEqualStateGivesEqualBytes() throws IOException {
        byte[] container = container();
        check(container);
        assertThat(container()).isEqualTo(container);
    }

    /** Written by the first version; must load for ever. */
    @Test
    void theFirstVersionStillLoads() throws IOException {
        try (InputStream golden = StateContainerTest.class.getResourceAsStream("container-1.torte")) {
            assertThat(golden).isNotNull();
            check(golden.readAllBytes());
        }
    }

    /** A machine that was copied in rounds: pages come again, with other content or as zeroes. */
    private static byte[] rounds() {
        try (GuestMemory memory = GuestMemory.allocate(SIZE)) {
            ByteArrayOutputStream out = new ByteArrayOutputStream();
            StateContainerWriter writer = new StateContainerWriter(out, "memory = 4\n");
            for (long page = 0x1000; page < 0x8000; page += 0x1000) {
                memory.putInt(page, 1);
            }
            MemoryReader reader = new MemoryReader(memory, writer);
            reader.all(_ -> {});
            memory.putInt(0x2000, 2);
            memory.putInt(0x9000, 3);
            memory.putInt(0x4000, 0);
            memory.release(0x5000, 0x2000);
            assertThat(reader.pages(new long[] {0b10_1111_0100, 1}, _ -> {})).isEqualTo(7);
            writer.finish();
            return out.toByteArray();
        }
    }

    private static void checkRounds(byte[] container) throws IOException {
        try (GuestMemory memory = GuestMemory.allocate(SIZE)) {
            StateContainerReader reader = new StateContainerReader(new ByteArrayInputStream(container));
            reader.readRest(memory);
            reader.requireAllRead();
            assertThat(memory.nextData(0x4000, 0x7000))
                    .as("zeroes take no room")
                    .isEqualTo(0x7000);
            int[] expected = {0, 1, 2, 1, 0, 0, 0, 1, 0, 3};
            for (int page = 0; page < expected.length; page++) {
                assertThat(memory.getInt((long) page << 12)).as("page %d", page).isEqualTo(expected[page]);
            }
        }
    }

    @Test
    void whatComesLaterOfAPageIsInPlaceOfWhatCameBefore() throws IOException {
        byte[] container = rounds();
        checkRounds(container);
        assertThat(rounds()).isEqualTo(container);
    }

    /** Written by the first version that copied in rounds; must load for ever. */
    @Test
    void theFirstVersionWithRoundsStillLoads() throws IOException {
        try (InputStream golden = StateContainerTest.class.getResourceAsStream("container-2.torte")) {
            assertThat(golden).isNotNull();
            checkRounds(golden.readAllBytes());
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1 << 20, -1})
    void zeroesOutsideOfTheMemoryAreRefused(int pages) throws IOException {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        StateContainerWriter writer = new StateContainerWriter(out, "");
        writer.zeroes(0x1000, Integer.toUnsignedLong(pages) << 12);
        writer.finish();
        try (GuestMemory memory = GuestMemory.allocate(SIZE)) {
            StateContainerReader reader = new StateContainerReader(new ByteArrayInputStream(out.toByteArray()));
            assertThatThrownBy(() -> reader.readRest(memory))
                    .isInstanceOf(StateException.class)
                    .hasMessageContaining("a part of its memory");
        }
    }

    @Test
    void zeroPagesTakeNoRoom() {
        assertThat(container()).hasSizeBetween(3 * 4096, 3 * 4096 + 600);
    }

    @Test
    void aSectionThatNobodyKnowsIsRefusedByName() throws IOException {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        StateContainerWriter writer = new StateContainerWriter(out, "");
        writer.section("future.device", 1, body -> {});
        writer.finish();
        try (GuestMemory memory = GuestMemory.allocate(SIZE)) {
            StateContainerReader reader = new StateContainerReader(new ByteArrayInputStream(out.toByteArray()));
            reader.readRest(memory);
            assertThatThrownBy(reader::requireAllRead)
                    .isInstanceOf(StateException.class)
                    .hasMessageContaining("future.device");
            assertThatThrownBy(() -> reader.section("past.device", 1))
                    .isInstanceOf(StateException.class)
                    .hasMessageContaining("past.device");
        }
    }

    @Test
    void aNewerSectionIsRefused() throws IOException {
        try (GuestMemory memory = GuestMemory.allocate(SIZE)) {
            StateContainerReader reader = new StateContainerReader(new ByteArrayInputStream(container()));
            reader.readRest(memory);
            assertThatThrownBy(() -> reader.section("test.values", 1))
                    .isInstanceOf(StateException.class)
                    .hasMessageContaining("version 2");
        }
    }

    @Test
    void ramWhereTheMachineHasNoneIsRefused() {
        try (GuestMemory memory = GuestMemory.allocate(SIZE / 2)) {
            assertThatThrownBy(() -> new StateContainerReader(new ByteArrayInputStream(container())).readRest(memory))
                    .isInstanceOf(StateException.class);
        }
    }

    @Test
    void everyTruncationIsNoticed() {
        byte[] container = container();
        for (int length = 0; length < container.length; length += length < 300 ? 1 : 97) {
            byte[] part = Arrays.copyOf(container, length);
            assertThatThrownBy(() -> check(part)).as("%d bytes", length).isInstanceOf(StateException.class);
        }
    }

    @ParameterizedTest
    @ValueSource(longs = {11, 12, 13})
    void everyDamageIsNoticedAndNothingElseThrown(long seed) {
        RandomSource random = RandomSource.seeded(seed);
        byte[] container = container();
        for (int i = 0; i < 400; i++) {
            byte[] damaged = container.clone();
            int at = (int) Long.remainderUnsigned(random.nextLong(), i < 200 ? 400 : damaged.length);
            damaged[at] ^= (byte) (1 << (random.nextLong() & 7));
            assertThatThrownBy(() -> check(damaged))
                    .as("seed %d, byte %d", seed, at)
                    .isInstanceOf(StateException.class);
        }
    }

    @ParameterizedTest
    @ValueSource(longs = {21, 22, 23})
    void noiseIsRefusedWithoutTakingMemory(long seed) {
        RandomSource random = RandomSource.seeded(seed);
        byte[] head = Arrays.copyOf(container(), 16);
        for (int i = 0; i < 2000; i++) {
            byte[] noise = Arrays.copyOf(head, 16 + 64);
            for (int j = 16; j < noise.length; j++) {
                noise[j] = (byte) random.nextLong();
            }
            // A section that promises gigabytes.
            noise[16] = 'S';
            noise[17] = 'E';
            noise[18] = 'C';
            noise[19] = 'T';
            assertThatThrownBy(() -> new StateContainerReader(new ByteArrayInputStream(noise)))
                    .as("seed %d", seed)
                    .isInstanceOf(StateException.class);
        }
    }
}
