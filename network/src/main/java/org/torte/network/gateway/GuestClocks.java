package org.torte.network.gateway;

import java.nio.ByteBuffer;
import java.time.Instant;
import java.time.LocalTime;
import java.time.ZoneOffset;
import java.time.temporal.ChronoField;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;
import org.torte.base.Clock;
import org.torte.network.wire.Packets;

/**
 * Asks guests what time it is there, by timestamp messages of ICMP (RFC 792, page 16), which Linux answers by itself. The
 * time service of Hyper-V only tells guests the time, so that it does not know whether they follow. Bounded by those that
 * are asked. Safe for several threads.
 */
final class GuestClocks {
    static final int REQUEST = 13, REPLY = 14, LENGTH = 20;

    private static final int DAY = 24 * 60 * 60 * 1000;
    /** What comes later is of no use. */
    private static final long PATIENCE_NANOS = 2_000_000_000L;

    private static final long KEPT_NANOS = 60_000_000_000L;

    private final Clock clock;
    private final ConcurrentHashMap<Long, Station> stations = new ConcurrentHashMap<>();

    private static final class Station {
        int sequence;
        long askedNanos;
        long answeredNanos;
        boolean waiting;

        @Nullable
        GuestClock last;
    }

    GuestClocks(Clock clock) {
        this.clock = clock;
    }

    /** The message that asks a station; an answer to an earlier one counts no more. */
    byte[] question(long station) {
        Station one = stations.computeIfAbsent(station, _ -> new Station());
        ByteBuffer message = ByteBuffer.allocate(LENGTH);
        synchronized (one) {
            one.sequence = one.sequence + 1 & 0xffff;
            one.waiting = true;
            one.askedNanos = clock.nanos();
            message.put(0, (byte) REQUEST).putShort(6, (short) one.sequence).putInt(8, millisOfDay(clock.wallTime()));
        }
        return message.putShort(2, (short) Packets.finish(Packets.sum(message.array(), 0, LENGTH, 0)))
                .array();
    }

    /**
     * A station has sent a timestamp message.
     *
     * @param message of {@link #LENGTH} bytes at least
     */
    void answered(long station, byte[] message) {
        Station one = stations.get(station);
        ByteBuffer fields = ByteBuffer.wrap(message);
        if (one == null || Packets.finish(Packets.sum(message, 0, message.length, 0)) != 0) {
            return;
        }
        long there = fields.getInt(16) & 0xffff_ffffL;
        synchronized (one) {
            long way = clock.nanos() - one.askedNanos;
            // The highest bit says that the time is none of the day (RFC 792).
            if (!one.waiting
                    || (fields.getShort(6) & 0xffff) != one.sequence
                    || fields.getShort(4) != 0
                    || way > PATIENCE_NANOS
                    || there >= DAY) {
                return;
            }
            one.waiting = false;
            one.answeredNanos = clock.nanos();
            Instant now = clock.wallTime();
            long half = way / 2;
            long skew = Math.floorMod(there - millisOfDay(now.minusNanos(half)) + DAY / 2, (long) DAY) - DAY / 2;
            one.last = new GuestClock(skew, half / 1_000_000 + 1, now);
        }
    }

    /** A station's machine is gone. */
    void forget(long station) {
        stations.remove(station);
    }

    /** What the last answer said, if there was one within a minute. */
    Optional<GuestClock> of(long station) {
        Station one = stations.get(station);
        if (one == null) {
            return Optional.empty();
        }
        synchronized (one) {
            return clock.nanos() - one.answeredNanos > KEPT_NANOS ? Optional.empty() : Optional.ofNullable(one.last);
        }
    }

    private static int millisOfDay(Instant time) {
        return LocalTime.ofInstant(time, ZoneOffset.UTC).get(ChronoField.MILLI_OF_DAY);
    }
}
