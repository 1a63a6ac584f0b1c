package org.torte.management.memory;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class LinuxMemoryTest {
    private static final long MIB = 1 << 20;

    @TempDir
    Path folder;

    private LinuxMemory host(String groups) throws IOException {
        file("proc/meminfo", "MemTotal:        8388608 kB\nMemFree:  1 kB\nMemAvailable:    4194304 kB\n");
        file("proc/self/cgroup", groups);
        return new LinuxMemory(folder.resolve("proc"), folder.resolve("groups"));
    }

    private void file(String name, String text) throws IOException {
        Path file = folder.resolve(name);
        Files.createDirectories(file.getParent());
        Files.writeString(file, text);
    }

    @Test
    void withoutLimitsItIsWhatTheHostHas() throws IOException {
        LinuxMemory host = host("0::/user.slice\n");
        assertThat(host.total()).isEqualTo(8192 * MIB);
        assertThat(host.available()).isEqualTo(4096 * MIB);
        file("groups/user.slice/memory.max", "max\n");
        file("groups/user.slice/memory.current", "1\n");
        assertThat(host.available()).isEqualTo(4096 * MIB);
    }

    @Test
    void theTightestGroupUpToTheRootLimitsIt() throws IOException {
        LinuxMemory host = host("0::/a/b\n");
        file("groups/a/memory.max", (2048 * MIB) + "\n");
        file("groups/a/memory.current", (1536 * MIB) + "\n");
        file("groups/a/memory.stat", "anon 5\ninactive_file " + (256 * MIB) + "\n");
        file("groups/a/b/memory.max", (3072 * MIB) + "\n");
        file("groups/a/b/memory.current", (1024 * MIB) + "\n");
        assertThat(host.total()).isEqualTo(2048 * MIB);
        assertThat(host.available()).isEqualTo(768 * MIB);
    }

    @Test
    void groupsOfVersionOneLimitItWhereOnlyTheirRootIsSeen() throws IOException {
        LinuxMemory host = host("4:cpu,memory:/docker/0123\n0::/\n");
        file("groups/memory/memory.limit_in_bytes", (1024 * MIB) + "\n");
        file("groups/memory/memory.usage_in_bytes", (1000 * MIB) + "\n");
        file("groups/memory/memory.stat", "total_inactive_file " + (100 * MIB) + "\n");
        assertThat(host.total()).isEqualTo(1024 * MIB);
        assertThat(host.available()).isEqualTo(124 * MIB);
        file("groups/memory/memory.limit_in_bytes", "9223372036854771712\n");
        assertThat(host.available()).isEqualTo(4096 * MIB);
    }

    @Test
    void damageIsNoLimit() throws IOException {
        LinuxMemory host = host("\0\n:::\n0::/../../..\n4:memory:\n");
        file("groups/memory.max", "many\n");
        assertThat(host.available()).isEqualTo(4096 * MIB);
        Files.delete(folder.resolve("proc/meminfo"));
        assertThat(host.available()).isEqualTo(Long.MAX_VALUE);
        assertThat(host.total()).isEqualTo(Long.MAX_VALUE);
    }

    @Test
    void aProcessHasWhatItSharesWithItsGuestAndItsOwn() throws IOException {
        LinuxMemory host = host("");
        file("proc/17/status", "Name:\tjava\nRssAnon:\t  2048 kB\nRssFile:\t 9 kB\nRssShmem:\t  1024 kB\n");
        assertThat(host.of(17)).isEqualTo(new HostMemory.Resident(MIB, 2 * MIB));
        assertThat(host.of(18)).isEqualTo(HostMemory.Resident.NONE);
    }

    @Test
    void thisHostTells() {
        LinuxMemory host = new LinuxMemory();
        assertThat(host.total()).isBetween(64 * MIB, 1L << 50);
        assertThat(host.available()).isBetween(1L, host.total());
        assertThat(host.of(ProcessHandle.current().pid()).own()).isGreaterThan(MIB);
    }
}
