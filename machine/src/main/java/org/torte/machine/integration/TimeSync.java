package org.torte.machine.integration;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.time.Instant;
import java.util.List;
import java.util.UUID;
import java.util.function.BiConsumer;
import java.util.function.LongSupplier;
import org.torte.base.StateInput;
import org.torte.base.StateOutput;
import org.torte.base.Timers;
import org.torte.machine.vmbus.ChannelOffer;

/**
 * Tells the guest the time: as an order to set its clock when the guest starts and whenever the machine runs again after
 * it stood, as a sample every five seconds. Linux sets its clock on orders only. Version 4 of the message (Linux
 * include/linux/hyperv.h, {@code ictimesync_ref_data}), and in parentheses the older ones:
 *
 * <pre>
 *   0 host's time, in units of 100 ns since 1601, UTC   8 bytes
 *   8 the guest's reference time at that moment         8  (guest's time)
 *  16 flags: 1 set the clock, 2 sample                  1  (round trip, 8)
 *  17 leap flags, stratum, reserved                     7  (flags as above, 1)
 * </pre>
 *
 * Safe for several threads.
 */
public final class TimeSync {
    /** Between two samples, in nanoseconds of the machine's clock. */
    static final long INTERVAL = 5_000_000_000L;

    static final int BODY = 24, OLD_BODY = 25;
    static final int ORDER = 1, SAMPLE = 2;

    private static final int LIMIT = 10;
    private static final long UNITS_PER_SECOND = 10_000_000, NANOS_PER_UNIT = 100;
    private static final long SECONDS_FROM_1601 = 11_644_473_600L;
    private static final ServiceVersion WITH_REFERENCE = new ServiceVersion(4, 0);
    private static final int STATE_VERSION = 1;

    private final Timers timers;
    private final LongSupplier referenceTime;
    private final Timers.Timer timer;
    final ServiceLink link;

    /** The guest is to be told to set its clock as soon as it can be. */
    private boolean orderWanted;

    private long orders;

    TimeSync(Timers timers, LongSupplier referenceTime) {
        this.timers = timers;
        this.referenceTime = referenceTime;
        timer = timers.create(this::tell);
        link = new ServiceLink(new Protocol(), timers);
    }

    /** Tells the guest to set its clock, now or as soon as it has the service. */
    public void setGuestClock() {
        link.lock.lock();
        try {
            order();
        } finally {
            link.lock.unlock();
        }
    }

    private void order() {
        orderWanted = true;
        timer.arm(timers.clock().nanos());
    }

    private void tell() {
        link.lock.lock();
        try {
            if (!link.isReady()) {
                return;
            }
            timer.arm(timers.clock().nanos() + INTERVAL);
            if (!link.isBusy()) {
                send();
            }
        } finally {
            link.lock.unlock();
        }
    }

    private void send() {
        int flags = orderWanted ? ORDER : SAMPLE;
        if (orderWanted) {
            orders++;
        }
        orderWanted = false;
        link.send(
                body(link.version(), timers.clock().wallTime(), referenceTime.getAsLong(), flags),
                LIMIT,
                new Answer(flags == ORDER));
    }

    static byte[] body(ServiceVersion version, Instant time, long reference, int flags) {
        long units = (time.getEpochSecond() + SECONDS_FROM_1601) * UNITS_PER_SECOND + time.getNano() / NANOS_PER_UNIT;
        boolean referenced = version.compareTo(WITH_REFERENCE) >= 0;
        ByteBuffer body = ByteBuffer.allocate(referenced ? BODY : OLD_BODY).order(ByteOrder.LITTLE_ENDIAN);
        body.putLong(units);
        if (referenced) {
            body.putLong(reference);
        } else {
            body.putLong(0).putLong(0);
        }
        body.put((byte) flags);
        return body.array();
    }

    private final class Answer implements Service.Reply {
        private final boolean order;

        Answer(boolean order) {
            this.order = order;
        }

        @Override
        public void answered(int status, ByteBuffer body) {
            if (orderWanted) {
                timer.arm(timers.clock().nanos());
            }
        }

        @Override
        public void lost(ServiceException why) {
            orderWanted |= order;
        }
    }

    private final class Protocol implements Service {
        private static final ChannelOffer OFFER = new ChannelOffer(
                UUID.fromString("9527e630-d0ae-497b-adce-e80ab0175caf"),
                UUID.fromString("2dd1ce17-079e-403c-b352-a1921ee207ee"),
                true);
        private static final List<ServiceVersion> VERSIONS =
                List.of(WITH_REFERENCE, new ServiceVersion(3, 0), new ServiceVersion(1, 0));

        @Override
        public String name() {
            return "time";
        }

        @Override
        public ChannelOffer offer() {
            return OFFER;
        }

        @Override
        public int type() {
            return ServiceMessage.TIME;
        }

        @Override
        public List<ServiceVersion> versions() {
            return VERSIONS;
        }

        @Override
        public void ready() {
            order();
        }

        @Override
        public void resumed() {
            order();
        }

        @Override
        public void gone() {
            timer.cancel();
            orderWanted = false;
            orders = 0;
        }

        @Override
        public Reply afterRestore() {
            return new Answer(false);
        }

        @Override
        public int stateVersion() {
            return STATE_VERSION;
        }

        /** Nothing: the guest is told the time anew when the machine goes on. */
        @Override
        public void save(StateOutput state) {}

        @Override
        public void restore(StateInput state) {}

        @Override
        public void inspect(BiConsumer<String, Object> sink) {
            sink.accept("orders", orders);
        }
    }
}
