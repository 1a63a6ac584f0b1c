package org.torte.management.memory;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.Optional;

/**
 * What a worker says of its guest's memory, in bytes. Of these {@code committed} and {@code available} are the guest's own
 * words.
 *
 * @param total RAM of the machine
 * @param wanted what the guest is to have
 * @param assigned what it has
 * @param ready whether the guest has a driver for it that works
 * @param limited whether the guest gives up no more, though it has more than is wanted
 * @param committed what the guest's programs were promised, what it has given up included; -1 when it has not said so
 * @param available what the guest could give to programs without moving others out; -1 when it has not said so
 * @param reports how often it has said so
 */
public record MemoryReport(
        long total,
        long wanted,
        long assigned,
        boolean ready,
        boolean limited,
        long committed,
        long available,
        long reports) {
    /** Brings what was said into the bounds that hold whatever a guest says. */
    public MemoryReport {
        total = Math.max(0, total);
        wanted = Math.clamp(wanted, 0, total);
        assigned = Math.clamp(assigned, 0, total);
        // Pages given up count as committed, so more than twice the RAM says no more than that all of it is needed.
        committed = Math.clamp(committed, -1, 2 * total);
        available = Math.clamp(available, -1, assigned);
    }

    /** Reads the answer to {@code memory} (docs/control.md); nothing if the machine has no such service. */
    public static Optional<MemoryReport> of(JsonNode answer) {
        if (!answer.path("dynamic").isBoolean()) {
            return Optional.empty();
        }
        return Optional.of(new MemoryReport(
                answer.path("total").asLong(),
                answer.path("wanted").asLong(),
                answer.path("assigned").asLong(),
                answer.path("dynamic").asBoolean(),
                answer.path("limited").asBoolean(),
                answer.path("guest-committed").asLong(-1),
                answer.path("guest-available").asLong(-1),
                answer.path("guest-reports").asLong()));
    }

    /** Whether the guest has said how its memory is. */
    public boolean told() {
        return ready && committed >= 0;
    }

    /**
     * What the guest needs, by its own words, up to the RAM of the machine: what its programs were promised, or what is in
     * use by whatever if that is more. 0 when it has not said so.
     */
    public long demand() {
        if (!told()) {
            return 0;
        }
        long promised = committed - (total - assigned);
        long used = available < 0 ? 0 : assigned - available;
        return Math.clamp(Math.max(promised, used), 0, total);
    }
}
