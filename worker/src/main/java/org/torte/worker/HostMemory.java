package org.torte.worker;

import java.io.BufferedReader;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.torte.base.GuestMemory;

/** What the host's kernel says about memory (proc(5)). */
final class HostMemory {
    private HostMemory() {}

    /** RAM and swap space of the host in bytes, or {@link Long#MAX_VALUE} when it does not tell. */
    static long total() {
        long kib = 0;
        try (BufferedReader lines = Files.newBufferedReader(Path.of("/proc/meminfo"), StandardCharsets.US_ASCII)) {
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                if (line.startsWith("MemTotal:") || line.startsWith("SwapTotal:")) {
                    kib += kibibytes(line);
                }
            }
        } catch (IOException e) {
            return Long.MAX_VALUE;
        }
        return kib == 0 ? Long.MAX_VALUE : kib << 10;
    }

    /** How much of a guest's RAM this process has touched, in bytes, or -1 when the host does not tell. */
    static long committed(GuestMemory memory) {
        long start = memory.segment().address();
        long end = start + memory.segment().byteSize();
        long kib = 0;
        try (BufferedReader lines = Files.newBufferedReader(Path.of("/proc/self/smaps"), StandardCharsets.UTF_8)) {
            boolean inside = false;
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                int dash = line.indexOf('-');
                // Mappings begin with "start-end ", their properties with "Name:".
                if (dash > 0 && line.indexOf(':') > dash) {
                    long address = Long.parseUnsignedLong(line.substring(0, dash), 16);
                    inside = address >= start && address < end;
                } else if (inside && line.startsWith("Rss:")) {
                    kib += kibibytes(line);
                }
            }
        } catch (IOException | NumberFormatException e) {
            return -1;
        }
        return kib << 10;
    }

    /** The number in a line like {@code MemTotal:   123 kB}. */
    private static long kibibytes(String line) {
        long value = 0;
        for (int i = line.indexOf(':') + 1; i < line.length(); i++) {
            int digit = Character.digit(line.charAt(i), 10);
            if (digit >= 0) {
                value = value * 10 + digit;
            }
        }
        return value;
    }
}
