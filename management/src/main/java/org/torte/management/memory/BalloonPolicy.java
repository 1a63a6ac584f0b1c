package org.torte.management.memory;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.OptionalLong;
import org.torte.management.definition.DynamicMemory;

/**
 * How much memory one guest is to have, moment by moment. It has its demand and the buffer beyond that, within its limits.
 *
 * <p>It gets more at once, when half of the buffer is used up. It gives up some when it has had half a buffer more than it
 * should for {@value #CALM_SECONDS} seconds, counted from the highest demand in that time, in steps of an eighth
 * every {@value #STEP_SECONDS} seconds. Demand that moves within half a buffer, or goes up and down faster than that, moves
 * nothing. Where the host is short of memory, buffers shrink to {@value #SCARCE_BUFFER} percent and nobody waits; they grow
 * again only into what the host has to spare, so that the host's own ups and downs move nothing either.
 *
 * <p>A guest that falls silent has at least what it starts with: it may be too short of memory to speak. One that lies can
 * only get what its owner has allowed it, or make itself suffer. Not safe for several threads.
 */
public final class BalloonPolicy {
    private static final int CALM_SECONDS = 30;
    private static final int STEP_SECONDS = 10;
    private static final int SILENCE_SECONDS = 30;
    private static final int SCARCE_BUFFER = 5;
    /** Before a guest that gives up no more is asked again. */
    private static final int LIMITED_SECONDS = 120;

    private static final long SECOND = 1_000_000_000L;
    private static final long MIB = 1 << 20;
    /** A step is never smaller: a guest of some hundred MiB would take minutes otherwise. */
    private static final long LEAST_STEP = 64 * MIB;

    /**
     * What a host can still give to guests, in bytes.
     *
     * @param free all of it; 0 or less if it is short of memory
     * @param headroom how much of it is kept for need
     */
    public record Room(long free, long headroom) {
        /** For whoever needs it, or would like it. */
        long forOne(boolean needed) {
            return Math.max(0, needed ? free : free - headroom);
        }
    }

    private record Sample(long at, long demand) {}

    /** The demand of the last seconds: each one smaller than those before it, so that the first is the highest. */
    private final Deque<Sample> highest = new ArrayDeque<>();

    private boolean started;
    private long calmSince;
    private long lastReports = -1;
    private long lastHeard;
    private long lastStep;
    /** Whether it is on its way down, which then goes to the end. */
    private boolean shrinking;

    /**
     * What the guest is to have, if that is another size than it is to have now.
     *
     * @param limits what its owner has said
     * @param report what is known of it now
     * @param room what the host can still give
     * @param now of a clock in nanoseconds that never jumps
     * @return a whole number of MiB in bytes, from the minimum to the RAM of the machine
     */
    public OptionalLong next(DynamicMemory limits, MemoryReport report, Room room, long now) {
        if (!started || report.reports() < lastReports || !report.ready()) {
            begin(now);
        }
        if (report.reports() != lastReports) {
            lastReports = report.reports();
            lastHeard = now;
        }
        long least = Math.min(limits.minimum(), report.total());
        long first = Math.clamp(limits.startup(), least, report.total());
        if (!report.told()) {
            // The guest's driver, when it comes, finds what is wanted.
            highest.clear();
            return changed(report, first);
        }
        if (now - lastHeard >= SILENCE_SECONDS * SECOND) {
            highest.clear();
            calmSince = now;
            return changed(report, Math.max(report.wanted(), first));
        }
        long demand = report.demand();
        note(demand, now);
        boolean scarce = room.free() <= 0;
        int buffer = scarce ? Math.min(SCARCE_BUFFER, limits.buffer()) : limits.buffer();
        long has = report.wanted();
        long bounded = Math.clamp(has, least, report.total());
        if (bounded != has) {
            // Its owner has changed the limits.
            return changed(report, bounded);
        }
        if (with(demand, buffer / 2.0) > has) {
            calmSince = now;
            shrinking = false;
            long more = Math.clamp(size(demand, buffer), least, report.total());
            long given = room.forOne(with(demand, SCARCE_BUFFER) > has);
            return changed(report, Math.max(has, Math.min(more, floor(has + given))));
        }
        return less(limits, report, buffer, scarce, now);
    }

    private void begin(long now) {
        started = true;
        highest.clear();
        calmSince = now;
        lastHeard = now;
        lastReports = -1;
        shrinking = false;
        lastStep = now - STEP_SECONDS * SECOND;
    }

    private OptionalLong less(DynamicMemory limits, MemoryReport report, int buffer, boolean scarce, long now) {
        long has = report.wanted();
        Sample first = highest.peekFirst();
        long demand = scarce || first == null ? report.demand() : first.demand();
        long target = Math.clamp(size(demand, buffer), Math.min(limits.minimum(), report.total()), report.total());
        shrinking = target < has && (shrinking || with(demand, buffer * 1.5) < has);
        int wait = report.limited() ? LIMITED_SECONDS : STEP_SECONDS;
        boolean due = now - lastStep >= wait * SECOND && (scarce || now - calmSince >= CALM_SECONDS * SECOND);
        if (!shrinking || !due) {
            return OptionalLong.empty();
        }
        lastStep = now;
        long step = Math.max(LEAST_STEP, floor(has / 8));
        return changed(report, Math.max(target, floor(has - step)));
    }

    private void note(long demand, long now) {
        while (!highest.isEmpty() && highest.getLast().demand() <= demand) {
            highest.removeLast();
        }
        highest.addLast(new Sample(now, demand));
        while (now - highest.getFirst().at() > CALM_SECONDS * SECOND) {
            highest.removeFirst();
        }
    }

    private static OptionalLong changed(MemoryReport report, long size) {
        return size == report.wanted() ? OptionalLong.empty() : OptionalLong.of(size);
    }

    private static double with(long demand, double buffer) {
        return demand * (100 + buffer) / 100;
    }

    /** A demand with its buffer, in whole MiB. */
    private static long size(long demand, int buffer) {
        return Math.ceilDiv(demand * (100 + buffer), 100 * MIB) * MIB;
    }

    private static long floor(long bytes) {
        return bytes / MIB * MIB;
    }
}
