package org.torte.management.rest;

import com.fasterxml.jackson.annotation.JsonProperty;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.UUID;
import org.torte.management.Problem;

/**
 * Tickets for consoles: browsers send no header with a WebSocket, so what opens it stands in the address, is good for one
 * use and for {@link #VALID}, and only as long as the token that it was made with is. Kept in memory, as hashes. Safe for
 * several threads.
 */
final class ConsoleTickets {
    static final Duration VALID = Duration.ofSeconds(30);

    private static final int MAX_TICKETS = 1000;

    private final Access access;
    private final InstantSource clock;
    /** By hash, the oldest first. */
    private final Map<String, Ticket> tickets = new LinkedHashMap<>();

    /** What a ticket is for. */
    enum Purpose {
        /** To look. */
        @JsonProperty("view")
        VIEW,
        /** To look and to type. */
        @JsonProperty("type")
        TYPE
    }

    /**
     * A ticket, without what opens the door.
     *
     * @param vm the machine whose console it opens
     * @param token whose it is; nobody's once the token is gone
     * @param purpose what may be done there
     * @param until when it ends
     */
    record Ticket(UUID vm, Access.Token token, Purpose purpose, Instant until) {}

    ConsoleTickets(Access access, InstantSource clock) {
        this.access = access;
        this.clock = clock;
    }

    /**
     * Makes one.
     *
     * @return what opens the door, this once
     * @throws Problem UNAVAILABLE when there are too many
     */
    synchronized String issue(Ticket ticket) {
        forgetOld();
        if (tickets.size() >= MAX_TICKETS) {
            throw new Problem(
                    Problem.Kind.UNAVAILABLE,
                    "there are " + MAX_TICKETS + " unused tickets already",
                    "use them, or try again in " + VALID.toSeconds() + " s");
        }
        String secret = access.secret();
        tickets.put(Access.hash(secret), ticket);
        return secret;
    }

    /**
     * Takes one, which is no good from then on.
     *
     * @throws Problem UNAUTHENTICATED when it is none, or of another machine
     */
    synchronized Ticket take(String secret, UUID vm) {
        forgetOld();
        Ticket ticket = tickets.remove(Access.hash(secret));
        if (ticket == null || !ticket.vm().equals(vm) || !access.holds(ticket.token())) {
            throw new Problem(
                    Problem.Kind.UNAUTHENTICATED,
                    "the ticket is none for this console, or was used, or is older than " + VALID.toSeconds() + " s",
                    "make another, with POST to console/tickets, and use it at once");
        }
        return ticket;
    }

    /** When a ticket that is made now ends. */
    Instant end() {
        return clock.instant().plus(VALID);
    }

    /** Whatever the clock does, none lasts longer than it should: one that ends too far ahead is from before it was set back. */
    private void forgetOld() {
        Instant now = clock.instant();
        tickets.values()
                .removeIf(
                        ticket -> !ticket.until().isAfter(now) || ticket.until().isAfter(now.plus(VALID)));
    }
}
