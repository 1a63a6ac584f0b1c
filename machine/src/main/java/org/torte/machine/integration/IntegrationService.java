package org.torte.machine.integration;

import java.util.Arrays;
import java.util.Collections;
import java.util.EnumSet;
import java.util.Locale;
import java.util.Set;
import java.util.stream.Collectors;

/** The services, each of which a machine may have or not. */
public enum IntegrationService {
    /** Whether the guest is alive. */
    HEARTBEAT,
    /** Asks the guest to shut down or to restart. */
    SHUTDOWN,
    /** Sets the guest's clock. */
    TIME,
    /** Exchanges keys and values with the guest. */
    KVP,
    /** Freezes the guest's file systems for a backup. */
    VSS,
    /** Takes memory from the guest and gives it back. */
    MEMORY,
    /** Types. */
    KEYBOARD;

    /** All of them. */
    public static final Set<IntegrationService> ALL =
            Collections.unmodifiableSet(EnumSet.allOf(IntegrationService.class));

    /** What people call it: {@code heartbeat}. */
    public String text() {
        return name().toLowerCase(Locale.ROOT);
    }

    /**
     * Reads names separated by commas.
     *
     * @throws IllegalArgumentException when there is no such service; the message lists those that there are
     */
    public static Set<IntegrationService> parse(String names) {
        EnumSet<IntegrationService> found = EnumSet.noneOf(IntegrationService.class);
        if (names.isBlank()) {
            return Collections.unmodifiableSet(found);
        }
        for (String name : names.split(",", -1)) {
            found.add(Arrays.stream(values())
                    .filter(service -> service.text().equals(name.strip()))
                    .findFirst()
                    .orElseThrow(() -> new IllegalArgumentException(
                            "there is no integration service \"" + name.strip() + "\"; known are " + text(ALL))));
        }
        return Collections.unmodifiableSet(found);
    }

    /** The names, separated by commas, in the order of this enumeration. */
    public static String text(Set<IntegrationService> services) {
        return services.stream().sorted().map(IntegrationService::text).collect(Collectors.joining(","));
    }
}
