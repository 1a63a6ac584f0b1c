package org.torte.machine.integration;

import java.nio.ByteBuffer;
import java.util.ArrayDeque;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.function.BiConsumer;
import org.torte.base.StateInput;
import org.torte.base.StateOutput;
import org.torte.base.Timers;
import org.torte.machine.vmbus.ChannelOffer;

/**
 * Exchanges keys and values with the guest, which has its daemon for it. What the host sets is kept here and given to the
 * guest again whenever it starts the service. Safe for several threads.
 */
public final class KeyValueExchange {
    /** The most characters of a key and of a value. */
    public static final int MAX_KEY = KeyValueMessage.KEY / 2 - 1, MAX_VALUE = KeyValueMessage.VALUE / 2 - 1;

    /** The most pairs that a host sets, and that are read of a guest's pool. */
    public static final int MAX_PAIRS = 1024;

    /** A guest gives up its daemon after 30 seconds, and then answers by itself. */
    private static final int LIMIT = 40;

    private static final int STATE_VERSION = 1;

    /** The pools of pairs. */
    public enum Pool {
        /** Set by the host for whoever reads them in the guest. */
        EXTERNAL(0),
        /** Set in the guest for the host. */
        GUEST(1),
        /** What the guest tells of itself: addresses, names and versions of its system. */
        AUTO(2),
        /** Set by the host: what it tells of itself. */
        AUTO_EXTERNAL(3),
        /** Of no use here. */
        AUTO_INTERNAL(4);

        /** What guests know it by. */
        final int number;

        Pool(int number) {
            this.number = number;
        }
    }

    private record Place(Pool pool, String key) {}

    final ServiceLink link;
    private final Map<Place, String> ours = new LinkedHashMap<>();
    /** What the guest has still to be given since it started the service. */
    private final ArrayDeque<Place> toGive = new ArrayDeque<>();

    KeyValueExchange(Timers timers) {
        link = new ServiceLink(new Protocol(), timers);
    }

    /** Whether the guest answers requests. */
    public boolean isReady() {
        link.lock.lock();
        try {
            return link.isReady();
        } finally {
            link.lock.unlock();
        }
    }

    /**
     * Reads all pairs of a pool.
     *
     * @return completes exceptionally, with {@link ServiceException}, when the guest does not answer
     */
    public CompletableFuture<Map<String, String>> pairs(Pool pool) {
        CompletableFuture<Map<String, String>> future = new CompletableFuture<>();
        link.lock.lock();
        try {
            read(pool, 0, new LinkedHashMap<>(), future);
        } finally {
            link.lock.unlock();
        }
        return future;
    }

    private void read(Pool pool, int index, Map<String, String> found, CompletableFuture<Map<String, String>> future) {
        link.send(KeyValueMessage.enumerate(pool, index), LIMIT, new Service.Reply() {
            @Override
            public void answered(int status, ByteBuffer body) {
                KeyValueMessage.Pair pair = status == ServiceMessage.OK ? KeyValueMessage.parseEnumerated(body) : null;
                if (status == ServiceMessage.FAILED) {
                    lost(new ServiceException("the guest's kvp service has no daemon that answers; start it in the"
                            + " guest (Debian: hyperv-daemons)"));
                } else if (pair == null || index >= MAX_PAIRS) {
                    future.completeAsync(() -> found);
                } else {
                    if (!pair.key().isEmpty()) {
                        found.put(pair.key(), pair.value());
                    }
                    read(pool, index + 1, found, future);
                }
            }

            @Override
            public void lost(ServiceException why) {
                PendingAnswer.fail(future, why);
            }
        });
    }

    /**
     * Sets a pair in one of the host's pools, now and whenever the guest starts the service anew.
     *
     * @param key 1 to {@value #MAX_KEY} characters
     * @param value up to {@value #MAX_VALUE} characters
     * @return completes with whether the guest has it by now; exceptionally when it has refused it
     * @throws IllegalArgumentException when key or value are too long, the pool is not the host's, or it is full
     */
    public CompletableFuture<Boolean> set(Pool pool, String key, String value) {
        Place place = place(pool, key);
        if (!KeyValueMessage.fits(value, KeyValueMessage.VALUE)) {
            throw new IllegalArgumentException("a value has at most " + MAX_VALUE + " characters");
        }
        return change(place, KeyValueMessage.set(pool, key, value), () -> {
            if (ours.size() >= MAX_PAIRS && !ours.containsKey(place)) {
                throw new IllegalArgumentException("the host has set " + MAX_PAIRS + " pairs already");
            }
            ours.put(place, value);
        });
    }

    /** Removes a pair from one of the host's pools; otherwise as {@link #set}. */
    public CompletableFuture<Boolean> remove(Pool pool, String key) {
        Place place = place(pool, key);
        return change(place, KeyValueMessage.delete(pool, key), () -> ours.remove(place));
    }

    private static Place place(Pool pool, String key) {
        if (pool != Pool.EXTERNAL && pool != Pool.AUTO_EXTERNAL) {
            throw new IllegalArgumentException("the host sets pairs in its own pools only");
        }
        if (key.isEmpty() || !KeyValueMessage.fits(key, KeyValueMessage.KEY)) {
            throw new IllegalArgumentException("a key has 1 to " + MAX_KEY + " characters");
        }
        return new Place(pool, key);
    }

    private CompletableFuture<Boolean> change(Place place, byte[] message, Runnable change) {
        link.lock.lock();
        try {
            change.run();
            toGive.remove(place);
            if (!link.isReady()) {
                return CompletableFuture.completedFuture(false);
            }
            PendingAnswer<Boolean> answer = new PendingAnswer<>((status, body) -> {
                if (status != ServiceMessage.OK) {
                    throw new ServiceException(
                            "the guest has refused the pair (status 0x%08x); see in the guest".formatted(status)
                                    + " whether its daemon runs and may write (Debian: hyperv-daemons)");
                }
                return true;
            });
            link.send(message, LIMIT, answer);
            return answer.future();
        } finally {
            link.lock.unlock();
        }
    }

    private void giveNext() {
        Place place = toGive.poll();
        String value = place == null ? null : ours.get(place);
        if (place != null && value != null) {
            link.send(KeyValueMessage.set(place.pool, place.key, value), LIMIT, new Given());
        }
    }

    /** One pair after the other, so that requests from elsewhere come in between. */
    private final class Given implements Service.Reply {
        @Override
        public void answered(int status, ByteBuffer body) {
            giveNext();
        }

        @Override
        public void lost(ServiceException why) {
            if (link.isReady()) {
                giveNext();
            }
        }
    }

    private final class Protocol implements Service {
        private static final ChannelOffer OFFER = new ChannelOffer(
                UUID.fromString("a9a0f4e7-5a45-4d96-b827-8a841e8c03e6"),
                UUID.fromString("242ff919-07db-4180-9c2e-b86cb68c8c55"),
                true);
        private static final List<ServiceVersion> VERSIONS =
                List.of(new ServiceVersion(5, 0), new ServiceVersion(4, 0), new ServiceVersion(3, 0));

        @Override
        public String name() {
            return "kvp";
        }

        @Override
        public ChannelOffer offer() {
            return OFFER;
        }

        @Override
        public int type() {
            return ServiceMessage.KEY_VALUE;
        }

        @Override
        public List<ServiceVersion> versions() {
            return VERSIONS;
        }

        @Override
        public void ready() {
            toGive.clear();
            toGive.addAll(ours.keySet());
            giveNext();
        }

        @Override
        public void gone() {
            toGive.clear();
        }

        @Override
        public Reply afterRestore() {
            return new Given();
        }

        @Override
        public int stateVersion() {
            return STATE_VERSION;
        }

        @Override
        public void save(StateOutput out) {
            out.putInt(ours.size());
            ours.forEach((place, value) -> out.putString(place.pool.name())
                    .putString(place.key)
                    .putString(value)
                    .putBoolean(toGive.contains(place)));
        }

        @Override
        public void restore(StateInput in) {
            ours.clear();
            toGive.clear();
            int count = in.getInt();
            in.check(count >= 0 && count <= MAX_PAIRS, count + " pairs");
            for (int i = 0; i < count; i++) {
                Pool pool = SavedEnum.read(in, Pool.class);
                String key = in.getString();
                String value = in.getString();
                in.check(
                        (pool == Pool.EXTERNAL || pool == Pool.AUTO_EXTERNAL)
                                && !key.isEmpty()
                                && KeyValueMessage.fits(key, KeyValueMessage.KEY)
                                && KeyValueMessage.fits(value, KeyValueMessage.VALUE),
                        "a pair that cannot be");
                Place place = new Place(pool, key);
                ours.put(place, value);
                if (in.getBoolean()) {
                    toGive.add(place);
                }
            }
        }

        @Override
        public void inspect(BiConsumer<String, Object> sink) {
            sink.accept("pairs", ours.size());
        }
    }
}
