package org.torte.network;

import java.util.EnumMap;
import java.util.Map;
import java.util.concurrent.atomic.AtomicLongArray;
import org.torte.base.net.PortStatistics;

/** What has gone through a port, and what has not and why. Safe for several threads; each batch is counted at once. */
final class PortCounters {
    private static final int FRAMES_SENT = 0, BYTES_SENT = 1, FRAMES_RECEIVED = 2, BYTES_RECEIVED = 3, SENT_DROPS = 4;
    private static final int RECEIVED_DROPS = SENT_DROPS + DropReason.values().length;
    private static final DropReason[] REASONS = DropReason.values();

    private final AtomicLongArray values = new AtomicLongArray(RECEIVED_DROPS + REASONS.length);

    void sent(long frames, long bytes) {
        values.getAndAdd(FRAMES_SENT, frames);
        values.getAndAdd(BYTES_SENT, bytes);
    }

    void received(long frames, long bytes) {
        values.getAndAdd(FRAMES_RECEIVED, frames);
        values.getAndAdd(BYTES_RECEIVED, bytes);
    }

    void sentDropped(DropReason reason, long frames) {
        values.getAndAdd(SENT_DROPS + reason.index(), frames);
    }

    void receivedDropped(DropReason reason, long frames) {
        values.getAndAdd(RECEIVED_DROPS + reason.index(), frames);
    }

    PortStatistics statistics() {
        return new PortStatistics(
                values.get(FRAMES_SENT),
                values.get(BYTES_SENT),
                values.get(FRAMES_RECEIVED),
                values.get(BYTES_RECEIVED),
                sum(SENT_DROPS),
                sum(RECEIVED_DROPS));
    }

    private long sum(int from) {
        long sum = 0;
        for (int i = 0; i < REASONS.length; i++) {
            sum += values.get(from + i);
        }
        return sum;
    }

    Map<DropReason, Long> drops(boolean sent) {
        Map<DropReason, Long> drops = new EnumMap<>(DropReason.class);
        for (DropReason reason : REASONS) {
            long count = values.get((sent ? SENT_DROPS : RECEIVED_DROPS) + reason.index());
            if (count != 0) {
                drops.put(reason, count);
            }
        }
        return drops;
    }
}
