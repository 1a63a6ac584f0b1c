package org.torte.machine.boot;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class Lz4LegacyInputStreamTest {
    @Test
    void aMatchMayOverlapItsOwnTarget() throws IOException {
        // One literal, then a match of 9 bytes at distance 1, then the closing literals.
        byte[] block = {0x15, 'a', 1, 0, 0x20, 'b', 'c'};

        assertThat(new String(unpack(frame(block)), StandardCharsets.US_ASCII)).isEqualTo("aaaaaaaaaabc");
    }

    @Test
    void matchesReachAsFarBackAsTheFormatAllowsAndNotIntoTheBlockBefore() throws IOException {
        ByteArrayOutputStream block = new ByteArrayOutputStream();
        byte[] literals = new byte[65535];
        new SplittableRandom(3).nextBytes(literals);
        block.write(0xf8);
        rest(block, literals.length - 15);
        block.writeBytes(literals);
        block.writeBytes(new byte[] {-1, -1, 0x10, 'z'});

        byte[] unpacked = unpack(frame(block.toByteArray()));

        assertThat(unpacked).hasSize(65535 + 12 + 1).startsWith(literals);
        assertThat(Arrays.copyOfRange(unpacked, 65535, 65535 + 12)).isEqualTo(Arrays.copyOf(literals, 12));
        assertThatThrownBy(() -> unpack(frame(new byte[] {0x10, 'a'}, new byte[] {0x15, 'a', 2, 0, 0x10, 'b'})))
                .isInstanceOf(IOException.class)
                .hasMessageContaining("damaged");
    }

    @Test
    void aBlockUnpacksToNoMoreThan8MiB() throws IOException {
        byte[] most = zeros(8 << 20);
        assertThat(unpack(frame(most, most))).hasSize(16 << 20).containsOnly(0);
        assertThatThrownBy(() -> unpack(frame(zeros((8 << 20) + 1))))
                .isInstanceOf(IOException.class)
                .hasMessageContaining("damaged");
    }

    @Test
    void damagedBlocksAreRefused() {
        for (byte[] block : new byte[][] {
            {(byte) 0xf0},
            {(byte) 0xf0, (byte) 255},
            {0x10},
            {0x15, 'a', 2, 0},
            {0x15, 'a', 0, 0},
            {0x15, 'a', 1},
            {0x15, 'a', 1, 0},
            {0x00, 1, 0}
        }) {
            assertThatThrownBy(() -> unpack(frame(block)))
                    .as(Arrays.toString(block))
                    .isInstanceOf(IOException.class);
        }
    }

    @Test
    void damagedFramesAreRefused() {
        byte[] good = frame(new byte[] {0x20, 'b', 'c'});
        assertThatThrownBy(() -> unpack(Arrays.copyOf(good, 3))).isInstanceOf(IOException.class);
        assertThatThrownBy(() -> unpack(Arrays.copyOf(good, good.length - 1))).isInstanceOf(IOException.class);
        for (int size : new int[] {-1, Integer.MIN_VALUE, 9 << 20}) {
            assertThatThrownBy(() -> unpack(little(12)
                            .putInt(Lz4LegacyInputStream.MAGIC)
                            .putInt(size)
                            .putInt(0x61616120)
                            .array()))
                    .as("size %d", size)
                    .isInstanceOf(IOException.class);
        }
    }

    @Test
    void noiseEndsInAnErrorOrInBytes() {
        long seed = Long.getLong("torte.seed", 1);
        SplittableRandom random = new SplittableRandom(seed);
        byte[] noise = new byte[3000];
        for (int round = 0; round < 2000; round++) {
            random.nextBytes(noise);
            // Long lengths are what noise alone rarely has.
            for (int i = random.nextInt(4); i > 0; i--) {
                int at = random.nextInt(noise.length - 100);
                Arrays.fill(noise, at, at + random.nextInt(100), (byte) 255);
            }
            try {
                assertThat(unpack(frame(noise)).length).isLessThanOrEqualTo(8 << 20);
            } catch (IOException e) {
                assertThat(e).as("seed %d round %d", seed, round).hasMessage("an LZ4 block is damaged");
            }
        }
    }

    @Test
    void itUnpacksWhatTheLz4ToolPacks(@TempDir Path folder) throws Exception {
        assumeTrue(Files.isExecutable(Path.of("/usr/bin/lz4")), "the lz4 tool is not installed");
        byte[] content = new byte[9 << 20];
        SplittableRandom random = new SplittableRandom(7);
        for (int i = 0; i < content.length; i++) {
            content[i] = random.nextInt(3) == 0 ? (byte) random.nextInt(8) : content[Math.max(0, i - 100)];
        }
        // What does not pack, what packs to next to nothing, and what repeats from far away.
        byte[] bytes = new byte[1 << 16];
        random.nextBytes(bytes);
        for (int i = 0; i < 20; i++) {
            System.arraycopy(bytes, 0, content, (2 << 20) + i * 65530, 65530);
        }
        Arrays.fill(content, 5 << 20, 6 << 20, (byte) 'x');
        Process tool = new ProcessBuilder("/usr/bin/lz4", "-l", "-q")
                .redirectOutput(folder.resolve("packed").toFile())
                .start();
        try (OutputStream stream = tool.getOutputStream()) {
            stream.write(content);
        }
        assertThat(tool.waitFor()).isZero();

        assertThat(unpack(Files.readAllBytes(folder.resolve("packed")))).isEqualTo(content);
    }

    private static byte[] unpack(byte[] frame) throws IOException {
        try (InputStream stream = new Lz4LegacyInputStream(new ByteArrayInputStream(frame))) {
            return stream.readAllBytes();
        }
    }

    private static byte[] frame(byte[]... blocks) {
        ByteArrayOutputStream frame = new ByteArrayOutputStream();
        frame.writeBytes(little(4).putInt(Lz4LegacyInputStream.MAGIC).array());
        for (byte[] block : blocks) {
            frame.writeBytes(little(4).putInt(block.length).array());
            frame.writeBytes(block);
        }
        return frame.toByteArray();
    }

    /** A block of so many zeros: one literal, one long match, one literal. */
    private static byte[] zeros(int count) {
        ByteArrayOutputStream block = new ByteArrayOutputStream();
        block.writeBytes(new byte[] {0x1f, 0, 1, 0});
        rest(block, count - 2 - 4 - 15);
        block.writeBytes(new byte[] {0x10, 0});
        return block.toByteArray();
    }

    private static void rest(ByteArrayOutputStream block, int rest) {
        for (; rest >= 255; rest -= 255) {
            block.write(255);
        }
        block.write(rest);
    }

    private static ByteBuffer little(int bytes) {
        return ByteBuffer.allocate(bytes).order(ByteOrder.LITTLE_ENDIAN);
    }
}
