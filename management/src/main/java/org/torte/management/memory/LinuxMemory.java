package org.torte.management.memory;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;

/**
 * The memory of a Linux host: proc(5), and the limits of the control groups that this process is in, of version 2 or 1
 * (the kernel's documents admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst).
 */
public final class LinuxMemory implements HostMemory {
    private static final long KIB = 1 << 10;
    private static final Pattern NUMBER = Pattern.compile("\\d{1,18}");
    /** What version 1 writes for no limit is a number of pages beyond any machine. */
    private static final long UNLIMITED = 1L << 60;

    private final Path proc;
    private final Path groups;

    /** That of this host. */
    public LinuxMemory() {
        this(Path.of("/proc"), Path.of("/sys/fs/cgroup"));
    }

    /**
     * That of a host whose files are elsewhere.
     *
     * @param proc the proc file system
     * @param groups where control groups are
     */
    LinuxMemory(Path proc, Path groups) {
        this.proc = proc;
        this.groups = groups;
    }

    @Override
    public long total() {
        long total = kibibytes(numbers(proc.resolve("meminfo")), "MemTotal", Long.MAX_VALUE);
        return Math.min(total, limits().total());
    }

    @Override
    public long available() {
        long available = kibibytes(numbers(proc.resolve("meminfo")), "MemAvailable", Long.MAX_VALUE);
        return Math.min(available, limits().free());
    }

    @Override
    public Resident of(long processId) {
        Map<String, Long> status =
                numbers(proc.resolve(Long.toString(processId)).resolve("status"));
        // RAM of guests is in memory files, which count as shared memory.
        return new Resident(kibibytes(status, "RssShmem", 0), kibibytes(status, "RssAnon", 0));
    }

    private record Limits(long total, long free) {}

    /** The tightest limits of the groups from this process's up to the root. */
    private Limits limits() {
        Limits tightest = new Limits(Long.MAX_VALUE, Long.MAX_VALUE);
        for (String line : lines(proc.resolve("self").resolve("cgroup"))) {
            String[] parts = line.split(":", 3);
            boolean second = parts.length == 3 && parts[0].equals("0") && parts[1].isEmpty();
            boolean first = parts.length == 3 && List.of(parts[1].split(",")).contains("memory");
            if (!first && !second) {
                continue;
            }
            Path root = second ? groups : groups.resolve("memory");
            Path at = root.resolve(parts[2].replaceFirst("^/+", "")).normalize();
            while (at != null && at.startsWith(root)) {
                Limits its = second
                        ? limits(at, "memory.max", "memory.current", "inactive_file")
                        : limits(at, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file");
                tightest = new Limits(Math.min(tightest.total(), its.total()), Math.min(tightest.free(), its.free()));
                at = at.getParent();
            }
        }
        return tightest;
    }

    /** Files that were read and are not looked at again count as used, and give way. */
    private static Limits limits(Path group, String limit, String usage, String cache) {
        long most = number(group.resolve(limit));
        long used = number(group.resolve(usage));
        if (most < 0 || most >= UNLIMITED || used < 0) {
            return new Limits(Long.MAX_VALUE, Long.MAX_VALUE);
        }
        long givesWay = numbers(group.resolve("memory.stat")).getOrDefault(cache, 0L);
        return new Limits(most, Math.max(0, most - Math.max(0, used - givesWay)));
    }

    private static long kibibytes(Map<String, Long> numbers, String name, long otherwise) {
        Long value = numbers.get(name);
        return value == null ? otherwise : value * KIB;
    }

    /** The number in a file; -1 if there is none. */
    private static long number(Path file) {
        List<String> lines = lines(file);
        try {
            return lines.isEmpty() ? -1 : Long.parseLong(lines.getFirst().strip());
        } catch (NumberFormatException e) {
            // "max", which is no limit.
            return -1;
        }
    }

    /** Lines such as {@code MemTotal: 123 kB} or {@code inactive_file 123}. */
    private static Map<String, Long> numbers(Path file) {
        Map<String, Long> numbers = new HashMap<>();
        for (String line : lines(file)) {
            String[] words = line.strip().split("[:\\s]+", 3);
            if (words.length >= 2 && NUMBER.matcher(words[1]).matches()) {
                numbers.put(words[0], Long.parseLong(words[1]));
            }
        }
        return numbers;
    }

    private static List<String> lines(Path file) {
        try {
            return Files.readAllLines(file, StandardCharsets.ISO_8859_1);
        } catch (IOException e) {
            return List.of();
        }
    }
}
