package org.torte.machine.integration;

import java.util.ArrayDeque;
import java.util.Objects;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.BiConsumer;
import org.jspecify.annotations.Nullable;
import org.torte.base.StateInput;
import org.torte.base.StateOutput;
import org.torte.base.Timers;
import org.torte.machine.vmbus.Channel;
import org.torte.machine.vmbus.ChannelOffer;
import org.torte.machine.vmbus.Packet;
import org.torte.machine.vmbus.VmbusDevice;

/**
 * The channel of one integration component: agrees on versions, sends one request after the other and finds the answers'
 * requests. Safe for several threads; its lock, which is also that of its {@link Service}, is never held while the bus is
 * called.
 */
final class ServiceLink implements VmbusDevice {
    /** How many requests may wait. */
    static final int MAX_WAITING = 64;

    /** The version of the framing in which versions are agreed on. */
    private static final ServiceVersion FIRST = new ServiceVersion(1, 0);

    private static final long NANOS_PER_SECOND = 1_000_000_000;

    private enum Phase {
        CLOSED,
        /** The guest has been offered versions and has not answered. */
        NEGOTIATING,
        READY,
        /** The guest knows none of the versions. */
        REFUSED
    }

    /** A request with the time that it may take once it has been sent. */
    @SuppressWarnings("ArrayRecordComponent") // never compared
    private record Request(byte[] body, int seconds, Service.Reply reply) {}

    private final Service service;
    private final Timers timers;
    private final Timers.Timer timer;
    final ReentrantLock lock = new ReentrantLock();

    private Phase phase = Phase.CLOSED;
    private boolean running;
    private @Nullable Channel channel;
    private ServiceVersion framework = Negotiation.FRAMEWORKS.getFirst();
    private ServiceVersion version;
    private final ArrayDeque<Request> waiting = new ArrayDeque<>();

    /** Whose answer is waited for, what it may take in nanoseconds of the machine's clock, and its number. */
    private Service.@Nullable Reply underWay;

    private long deadline;
    private int transaction;

    /** A packet that found no room in the ring. */
    private byte @Nullable [] unsent;

    /** Packets that made no sense or that nobody had asked for. */
    private long refused;

    ServiceLink(Service service, Timers timers) {
        this.service = service;
        this.timers = timers;
        version = service.versions().getFirst();
        timer = timers.create(this::expire);
    }

    // ---- for the service, with the lock held

    boolean isReady() {
        return phase == Phase.READY;
    }

    /** The version of the messages that guest and host have agreed on. */
    ServiceVersion version() {
        return version;
    }

    /** Whether a request is under way or waits. */
    boolean isBusy() {
        return underWay != null || !waiting.isEmpty();
    }

    /**
     * Sends a request as soon as those before it have been answered.
     *
     * @param seconds how long the guest may take to answer, in the machine's time
     */
    void send(byte[] body, int seconds, Service.Reply reply) {
        Channel open = channel;
        if (phase != Phase.READY || open == null) {
            reply.lost(unavailable());
        } else if (waiting.size() >= MAX_WAITING) {
            reply.lost(new ServiceException("the guest's " + service.name() + " service has " + MAX_WAITING
                    + " requests to answer; try again later"));
        } else if (body.length + ServiceMessage.OVERHEAD > open.largestData()) {
            reply.lost(new ServiceException("the guest's " + service.name() + " service takes only shorter requests"));
        } else {
            waiting.add(new Request(body, seconds, reply));
            sendNext();
        }
    }

    private ServiceException unavailable() {
        String name = "the guest's " + service.name() + " service ";
        return new ServiceException(
                switch (phase) {
                    case CLOSED -> name + "is not there; the guest must have started it (Linux: the module hv_utils)";
                    case NEGOTIATING ->
                        name + "has not answered yet; wait, or start its daemon in the guest (Debian: hyperv-daemons)";
                    case READY, REFUSED -> name + "speaks no version that is known here";
                });
    }

    private void sendNext() {
        Channel open = channel;
        if (!running || open == null || underWay != null || unsent != null || phase != Phase.READY) {
            return;
        }
        Request next = waiting.poll();
        if (next == null) {
            return;
        }
        underWay = next.reply;
        transaction = transaction + 1 & 0xff;
        deadline = timers.clock().nanos() + next.seconds * NANOS_PER_SECOND;
        timer.arm(deadline);
        transmit(
                open,
                ServiceMessage.request(framework, service.type(), version, transaction, next.body)
                        .bytes());
        open.flush();
    }

    private void transmit(Channel open, byte[] packet) {
        unsent = open.sendInBand(0, false, packet, packet.length) ? null : packet;
    }

    /** Ends what is under way. */
    private Service.@Nullable Reply takeReply() {
        Service.Reply reply = underWay;
        underWay = null;
        timer.cancel();
        return reply;
    }

    private void expire() {
        lock.lock();
        try {
            if (underWay == null || timers.clock().nanos() < deadline) {
                return;
            }
            Service.Reply reply = Objects.requireNonNull(takeReply());
            reply.lost(new ServiceException("the guest's " + service.name()
                    + " service does not answer; see in the guest whether its daemon runs"));
            sendNext();
        } finally {
            lock.unlock();
        }
    }

    private void giveUp() {
        phase = Phase.CLOSED;
        channel = null;
        unsent = null;
        ServiceException why = new ServiceException("the guest has ended its " + service.name() + " service");
        Service.Reply reply = takeReply();
        if (reply != null) {
            reply.lost(why);
        }
        for (Request request = waiting.poll(); request != null; request = waiting.poll()) {
            request.reply.lost(why);
        }
        service.gone();
    }

    // ---- the bus

    @Override
    public ChannelOffer offer() {
        return service.offer();
    }

    @Override
    public void open(Channel opened) {
        lock.lock();
        try {
            channel = opened;
            phase = Phase.NEGOTIATING;
            byte[] body = Negotiation.offer(service.versions());
            // Sent by the first call of serve.
            unsent = ServiceMessage.request(FIRST, ServiceMessage.NEGOTIATE, FIRST, 0, body)
                    .bytes();
        } finally {
            lock.unlock();
        }
    }

    @Override
    public void close(Channel closed) {
        lock.lock();
        try {
            giveUp();
        } finally {
            lock.unlock();
        }
    }

    @Override
    public boolean serve(Channel served) {
        lock.lock();
        try {
            byte[] packet = unsent;
            if (packet != null) {
                transmit(served, packet);
            }
            for (Packet next = served.receive(); next != null; next = served.receive()) {
                if (next.wantsCompletion()) {
                    // A guest that reads none has nothing to wait for.
                    boolean _ = served.sendCompletion(next.transaction(), new byte[0], 0);
                }
                ServiceMessage message = next.type() == Packet.IN_BAND ? ServiceMessage.parse(next.data()) : null;
                if (message == null || !message.isAnswer() || !take(message)) {
                    refused++;
                }
            }
            sendNext();
            return true;
        } finally {
            lock.unlock();
        }
    }

    private boolean take(ServiceMessage message) {
        if (message.type() == ServiceMessage.NEGOTIATE) {
            return phase == Phase.NEGOTIATING && agree(message);
        }
        if (phase != Phase.READY
                || underWay == null
                || unsent != null
                || message.type() != service.type()
                || message.transaction() != transaction) {
            return false;
        }
        Objects.requireNonNull(takeReply()).answered(message.status(), message.view());
        return true;
    }

    private boolean agree(ServiceMessage message) {
        Negotiation agreed = Negotiation.parse(message.view(), service.versions());
        if (agreed == null) {
            phase = Phase.REFUSED;
            return false;
        }
        framework = agreed.framework();
        version = agreed.messages();
        phase = Phase.READY;
        service.ready();
        return true;
    }

    // ---- the machine's side

    @Override
    public String name() {
        return service.name();
    }

    @Override
    public void start() {
        lock.lock();
        try {
            running = true;
            if (phase == Phase.READY) {
                service.resumed();
            }
            sendNext();
        } finally {
            lock.unlock();
        }
    }

    @Override
    public void stop() {
        lock.lock();
        try {
            running = false;
        } finally {
            lock.unlock();
        }
    }

    @Override
    public void reset() {
        lock.lock();
        try {
            giveUp();
            refused = 0;
        } finally {
            lock.unlock();
        }
    }

    @Override
    public int stateVersion() {
        return service.stateVersion();
    }

    /** Requests that wait are not in it: who asked for them is not in the saved machine. */
    @Override
    public void save(StateOutput state) {
        lock.lock();
        try {
            state.putString(phase.name())
                    .putInt(framework.major())
                    .putInt(framework.minor())
                    .putInt(version.major())
                    .putInt(version.minor())
                    .putBoolean(underWay != null)
                    .putLong(deadline)
                    .putInt(transaction)
                    .putBytes(unsent == null ? new byte[0] : unsent);
            service.save(state);
        } finally {
            lock.unlock();
        }
    }

    @Override
    public void restore(StateInput state) {
        lock.lock();
        try {
            phase = SavedEnum.read(state, Phase.class);
            state.check((phase == Phase.CLOSED) == (channel == null), "a service that is " + phase);
            framework = new ServiceVersion(state.getInt(), state.getInt());
            version = new ServiceVersion(state.getInt(), state.getInt());
            state.check(
                    Negotiation.FRAMEWORKS.contains(framework)
                            && service.versions().contains(version),
                    "versions " + framework + " and " + version);
            boolean asking = state.getBoolean();
            deadline = state.getLong();
            transaction = state.getInt() & 0xff;
            byte[] packet = state.getBytes();
            state.check(
                    packet.length == 0
                            || channel != null
                                    && packet.length >= ServiceMessage.OVERHEAD
                                    && packet.length <= channel.largestData(),
                    "a packet of " + packet.length + " bytes");
            unsent = packet.length == 0 ? null : packet;
            service.restore(state);
            if (asking) {
                state.check(phase == Phase.READY, "a request before it is ready");
                underWay = service.afterRestore();
                timer.arm(deadline);
            }
        } finally {
            lock.unlock();
        }
    }

    @Override
    public void inspect(BiConsumer<String, Object> sink) {
        lock.lock();
        try {
            sink.accept("phase", phase);
            sink.accept("version", version);
            sink.accept("refused-packets", refused);
            service.inspect(sink);
        } finally {
            lock.unlock();
        }
    }
}
