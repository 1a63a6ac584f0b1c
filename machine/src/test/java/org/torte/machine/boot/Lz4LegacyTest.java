package org.torte.machine.boot;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.io.OutputStream;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class Lz4LegacyTest {
    @Test
    void aMatchMayOverlapItsOwnTarget() throws IOException {
        // One literal, then a match of 9 bytes at distance 1, then the closing literals.
        byte[] block = {0x15, 'a', 1, 0, 0x20, 'b', 'c'};
        byte[] out = new byte[64];

        int length = Lz4Legacy.unpackBlock(block, out);

        assertThat(new String(out, 0, length, java.nio.charset.StandardCharsets.US_ASCII))
                .isEqualTo("aaaaaaaaaabc");
    }

    @Test
    void damagedBlocksAreRefused() {
        byte[] out = new byte[64];
        for (byte[] block : new byte[][] {
            {}, {(byte) 0xf0}, {(byte) 0xf0, (byte) 255}, {0x10}, {0x15, 'a', 2, 0}, {0x15, 'a', 0, 0}, {0x15, 'a', 1}
        }) {
            assertThatThrownBy(() -> Lz4Legacy.unpackBlock(block, out))
                    .as(Arrays.toString(block))
                    .isInstanceOf(IOException.class);
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
        Process tool = new ProcessBuilder("/usr/bin/lz4", "-l", "-q")
                .redirectOutput(folder.resolve("packed").toFile())
                .start();
        try (OutputStream stream = tool.getOutputStream()) {
            stream.write(content);
        }
        assertThat(tool.waitFor()).isZero();
        byte[] unpacked = new byte[content.length];

        long length = Lz4Legacy.unpack(
                MemorySegment.ofArray(Files.readAllBytes(folder.resolve("packed"))), MemorySegment.ofArray(unpacked));

        assertThat(length).isEqualTo(content.length);
        assertThat(unpacked).isEqualTo(content);
    }
}
