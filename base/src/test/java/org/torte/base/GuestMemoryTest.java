package org.torte.base;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

class GuestMemoryTest {
    private static final long GIB = 1L << 30;

    @Test
    void ramBeyondThreeGibibytesGoesOnAtFour() {
        try (GuestMemory memory = GuestMemory.allocate(5 * GIB)) {
            assertThat(memory.banks())
                    .containsExactly(new GuestMemory.Bank(0, 3 * GIB), new GuestMemory.Bank(4 * GIB, 2 * GIB));
            assertThat(memory.size()).isEqualTo(5 * GIB);
            assertThat(memory.contains(3 * GIB - 4096, 4096)).isTrue();
            assertThat(memory.contains(3 * GIB - 4096, 4097)).isFalse();
            assertThat(memory.contains(3 * GIB, 1)).isFalse();
            assertThat(memory.contains(6 * GIB - 1, 1)).isTrue();
            assertThat(memory.contains(6 * GIB, 1)).isFalse();
            assertThat(memory.contains(-1, 1)).isFalse();
            assertThat(memory.contains(Long.MAX_VALUE, 4096)).isFalse();
            assertThat(memory.contains(4096, -1)).isFalse();
            assertThat(memory.contains(4096, Long.MAX_VALUE)).isFalse();
        }
    }

    @Test
    void anAddressOutsideThrowsAndDoesNotReachTheHost() {
        try (GuestMemory memory = GuestMemory.allocate(4096)) {
            assertThatThrownBy(() -> memory.getByte(4096)).isInstanceOf(IndexOutOfBoundsException.class);
            assertThatThrownBy(() -> memory.putLong(4089, 0)).isInstanceOf(IndexOutOfBoundsException.class);
            assertThatThrownBy(() -> memory.getInt(-1)).isInstanceOf(IndexOutOfBoundsException.class);
            assertThatThrownBy(() -> memory.read(0, new byte[8192], 0, 8192))
                    .isInstanceOf(IndexOutOfBoundsException.class);
        }
    }

    @Test
    void valuesAreLittleEndianAtAnyAlignment() {
        try (GuestMemory memory = GuestMemory.allocate(8192)) {
            memory.putLong(4093, 0x0102030405060708L);
            assertThat(memory.getByte(4093)).isEqualTo(8);
            assertThat(memory.getShort(4094)).isEqualTo(0x0607);
            assertThat(memory.getInt(4097)).isEqualTo(0x01020304);
            memory.putShort(4095, 0xfffe);
            assertThat(memory.getLong(4093)).isEqualTo(0x01020304fffe0708L);
        }
    }

    @Test
    void asksForHugePages() throws IOException {
        assumeTrue(
                Files.exists(Path.of("/sys/kernel/mm/transparent_hugepage/shmem_enabled")),
                "this kernel has no huge pages for shared memory");
        try (GuestMemory memory = GuestMemory.allocate(4 << 20)) {
            String start = Long.toHexString(memory.segment().address()) + "-";
            String flags = Files.readAllLines(Path.of("/proc/self/smaps")).stream()
                    .dropWhile(line -> !line.startsWith(start))
                    .dropWhile(line -> !line.startsWith("VmFlags:"))
                    .findFirst()
                    .orElseThrow();
            assertThat(flags.split(" ")).contains("hg");
        }
    }

    @Test
    void nothingIsCommittedUntilItIsWrittenAndClearingGivesItBack() throws IOException {
        try (GuestMemory memory = GuestMemory.allocate(64 * GIB)) {
            assertThat(committed(memory)).isZero();
            memory.putByte(63 * GIB, 1);
            memory.putByte(8192, 1);
            assertThat(committed(memory)).isBetween(8192L, 8L << 20);
            assertThat(memory.nextData(0, memory.top())).isLessThanOrEqualTo(8192);
            assertThat(memory.nextData(4L << 20, memory.top())).isBetween(63 * GIB - (2L << 20), 63 * GIB);
            memory.clear();
            assertThat(committed(memory)).isZero();
            assertThat(memory.getByte(8192)).isZero();
            assertThat(memory.nextData(4L << 20, memory.top())).isEqualTo(memory.top());
        }
    }

    private static long committed(GuestMemory memory) throws IOException {
        Process process = new ProcessBuilder(
                        "stat",
                        "-L",
                        "-c",
                        "%b %B",
                        "/proc/" + ProcessHandle.current().pid() + "/fd/" + memory.fileDescriptor())
                .start();
        String[] answer = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8)
                .strip()
                .split(" ", -1);
        return Long.parseLong(answer[0]) * Long.parseLong(answer[1]);
    }

    @Test
    void impossibleSizesAreRefused() {
        assertThatThrownBy(() -> GuestMemory.allocate(0)).isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> GuestMemory.allocate(4097)).isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> GuestMemory.allocate(1L << 50)).isInstanceOf(OutOfMemoryError.class);
    }

    @Test
    void closingTwiceDoesNothing() {
        GuestMemory memory = GuestMemory.allocate(4096);
        memory.close();
        memory.close();
    }
}
