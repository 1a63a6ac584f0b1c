package org.torte.hypervisor.software.translator;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.HashSet;
import java.util.Locale;
import java.util.Set;
import java.util.TreeSet;
import org.torte.hypervisor.x86.Feature;

/** What the host's processor offers to translated code, as Linux lists it. */
final class HostFeatures {
    /** What translated code takes for granted. */
    private static final Set<String> NEEDED = Set.of("sse4_2", "ssse3", "popcnt", "cx16", "lahf_lm", "cmov");

    private final Set<Feature> features = EnumSet.noneOf(Feature.class);
    private final boolean avx;
    private final Set<String> missing = new TreeSet<>(NEEDED);

    private HostFeatures(Set<String> flags) {
        for (Feature feature : Feature.values()) {
            String name = switch (feature) {
                case X87 -> "fpu";
                case SSE3 -> "pni";
                case LZCNT -> "abm";
                case SHA -> "sha_ni";
                case LAHF -> "lahf_lm";
                default -> feature.name().toLowerCase(Locale.ROOT);
            };
            if (feature == Feature.BASE || flags.contains(name)) {
                features.add(feature);
            }
        }
        avx = flags.contains("avx");
        missing.removeAll(flags);
    }

    /** Of this host; of one without a list, nothing. */
    static HostFeatures read() {
        try (var lines = Files.lines(Path.of("/proc/cpuinfo"))) {
            String line = lines.filter(l -> l.startsWith("flags")).findFirst().orElse("");
            String[] flags = line.substring(line.indexOf(':') + 1).trim().split(" +");
            return new HostFeatures(new HashSet<>(Arrays.asList(flags)));
        } catch (IOException e) {
            return new HostFeatures(Set.of());
        }
    }

    boolean has(Feature feature) {
        return features.contains(feature);
    }

    /** Whether it has vector registers whose upper halves the JVM may have left dirty. */
    boolean avx() {
        return avx;
    }

    /** What code that is translated for it would need besides; empty if it can be. */
    Set<String> missing() {
        return missing;
    }
}
