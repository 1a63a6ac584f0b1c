package org.torte.network.host;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.net.UnixDomainSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;
import org.torte.base.net.FrameBatch;
import org.torte.base.net.FrameHeaders;
import org.torte.base.net.FrameOffloads;
import org.torte.base.net.MacAddress;
import org.torte.network.NetworkException;
import org.torte.network.gateway.Subnet;
import org.torte.network.posix.Posix;
import org.torte.network.posix.Wakeup;
import org.torte.network.wire.Packets;

/**
 * Address translation without root: libslirp speaks TCP and UDP with the guests and uses sockets of this process for the
 * outside. Frames for it wait in a bounded queue, which whoever has put some in empties himself if nobody else is at it: so a
 * packet's way out wakes no thread. One thread waits for the sockets and takes what is left. Large sends go in as they are.
 */
public final class UserNat implements Nat {
    private static final int QUEUE_FRAMES = 1024, QUEUE_BYTES = 4 << 20;
    private static final int LONGEST_WAIT_MILLIS = 1000;

    /** Whom libslirp takes all guests for: the gateway finds out who they are. */
    private static final MacAddress GUESTS = new MacAddress(0x0254_0000_0001L);

    private final Subnet subnet;
    private final int mtu;
    private final boolean hostLoopback;
    private final boolean ipv6;
    private final Wakeup wakeup;
    private final Thread thread;
    private final ConcurrentLinkedQueue<Runnable> commands = new ConcurrentLinkedQueue<>();
    private final Relays relays = new Relays();
    /** Guests' ports to which UDP is forwarded; they stay until the end, which does no harm. */
    private final Set<Integer> udpForwards = ConcurrentHashMap.newKeySet();

    /** Ports of the host's address that services are offered at. */
    private final Set<Integer> services = ConcurrentHashMap.newKeySet();

    private final AtomicLong dropped = new AtomicLong();
    private final CompletableFuture<@Nullable Void> started = new CompletableFuture<>();

    private final Object lock = new Object();
    /** Under the lock: what senders add. */
    private FrameBatch incoming = new FrameBatch(QUEUE_FRAMES, QUEUE_BYTES);

    /** Guards the stack and what follows. Only the thread waits for it: senders leave their frames to whoever has it. */
    private final ReentrantLock stack = new ReentrantLock();

    /** The thread waits for the lock, and will take what is in the queue: nobody is to get in before it again and again. */
    private volatile boolean threadWaits;

    private @Nullable Slirp running;
    private final FrameHeaders headers = new FrameHeaders();
    private final FrameOffloads offloads = new FrameOffloads();
    private FrameBatch working = new FrameBatch(QUEUE_FRAMES, QUEUE_BYTES);
    private final FrameBatch outgoing = new FrameBatch(256, 1 << 20);
    private final FrameBatch answers = new FrameBatch(16, FrameBatch.MAX_LENGTH);
    /** What the thread waits for, and for how long; what it would have to now. */
    private final PollTable awaited = new PollTable();

    private int waitMillis;
    private final PollTable wanted = new PollTable();
    /** The stack's numbers are not those of {@link #awaited} any more. */
    private boolean stale = true;

    private @Nullable Inside inside;
    private volatile boolean closed;
    private volatile boolean failed;

    /**
     * Prepares it.
     *
     * @param mtu the guests' MTU
     * @param hostLoopback whether guests reach the services of the host's loopback address, at the gateway's address
     * @throws NetworkException when libslirp is missing
     */
    public UserNat(Subnet subnet, int mtu, boolean hostLoopback) {
        Slirp.require();
        this.subnet = subnet;
        this.mtu = mtu;
        this.hostLoopback = hostLoopback;
        ipv6 = hostHasIpv6();
        try {
            wakeup = new Wakeup();
        } catch (IOException e) {
            throw new NetworkException("no NAT network: " + e.getMessage(), e);
        }
        thread = Thread.ofPlatform().name("torte-nat").daemon().unstarted(this::run);
    }

    /**
     * Checks that NAT works on this host.
     *
     * @throws NetworkException with what installs it
     */
    public static void require() {
        Slirp.require();
    }

    /** Whether the host has an address beyond itself, of global scope (proc(5), if_inet6). */
    static boolean hostHasIpv6() {
        try {
            return Files.readAllLines(Path.of("/proc/thread-self/net/if_inet6")).stream()
                    .map(line -> line.split(" +", -1))
                    .anyMatch(fields -> fields.length > 3 && fields[3].equals("00"));
        } catch (IOException e) {
            return false;
        }
    }

    @Override
    public void start(Inside target) {
        inside = target;
        thread.start();
        started.join();
    }

    @Override
    public boolean forwardsUdp(int guestPort) {
        return udpForwards.contains(guestPort);
    }

    @Override
    public boolean offers(int port) {
        return services.contains(port);
    }

    @Override
    public boolean ipv6() {
        return ipv6;
    }

    /** Packets that guests sent and for which there was no room. */
    public long dropped() {
        return dropped.get();
    }

    @Override
    public void send(FrameBatch frames, int frame) {
        if (isFragment(frames, frame)) {
            dropped.incrementAndGet();
            return;
        }
        synchronized (lock) {
            if (!incoming.append(frames, frame)) {
                dropped.incrementAndGet();
            }
        }
    }

    /**
     * Whether it is a piece of an IPv4 packet: such pieces, made at random, have ended the process of libslirp 4.7
     * (HostileOffloadsTest), most likely in its reassembly, so it gets none.
     */
    private static boolean isFragment(FrameBatch frames, int frame) {
        long at = frames.offset(frame) + (long) Packets.ETHERNET_HEADER;
        return frames.length(frame) >= Packets.ETHERNET_HEADER + Packets.IPV4_HEADER
                && (frames.bytes().get(JAVA_BYTE, at) & 0xf0) == 0x40
                && (frames.bytes().get(JAVA_BYTE, at + 6) & 0x3f
                                | frames.bytes().get(JAVA_BYTE, at + 7))
                        != 0;
    }

    @Override
    public void flush() {
        if (threadWaits) {
            return;
        }
        if (!stack.tryLock()) {
            wakeup.signal();
            return;
        }
        try {
            Slirp slirp = running;
            if (slirp != null) {
                takeQueue(slirp);
                wanted.begin(wakeup.fd());
                if (slirp.fill(wanted, LONGEST_WAIT_MILLIS) < waitMillis || !wanted.sameAs(awaited)) {
                    stale = true;
                    wakeup.signal();
                }
            }
        } catch (RuntimeException | Error e) {
            fail(e);
        } finally {
            stack.unlock();
        }
    }

    @Override
    public void addForward(PortForward forward, int guestAddress) {
        if (forward.ipv6()) {
            relays.add(forward, () -> door(forward, guestAddress));
            return;
        }
        int error = call(slirp -> slirp.addForward(
                forward.udp(), forward.hostAddress4(), forward.hostPort(), guestAddress, forward.guestPort()));
        if (error == 0) {
            if (forward.udp()) {
                udpForwards.add(forward.guestPort());
            }
        } else {
            throw new NetworkException(
                    switch (error) {
                        case Posix.EADDRINUSE -> forward.where() + " is in use: forward another one";
                        case Posix.EACCES, Posix.EPERM -> forward.where() + " needs root: forward one above 1023";
                        default -> forward.where() + " cannot be forwarded: error " + error;
                    });
        }
    }

    /** A Unix-domain socket at which libslirp listens for a guest's port, in a folder that only this user may enter. */
    private RelayTarget door(PortForward forward, int guestAddress) {
        Path path;
        try {
            path = Files.createTempDirectory("torte-nat").resolve("port");
        } catch (IOException e) {
            throw new NetworkException(forward.where() + " cannot be forwarded: " + e.getMessage(), e);
        }
        RelayTarget door = new RelayTarget(UnixDomainSocketAddress.of(path), () -> shut(path));
        int error = call(slirp -> slirp.addForward(path.toString(), guestAddress, forward.guestPort()));
        if (error != 0) {
            door.gone().run();
            throw new NetworkException(forward.where() + " cannot be forwarded: error " + error);
        }
        return door;
    }

    private void shut(Path path) {
        if (!closed) {
            int ignored = call(slirp -> slirp.removeForward(path.toString()) ? 0 : 1);
        }
        try {
            Files.deleteIfExists(path);
            Files.deleteIfExists(Objects.requireNonNull(path.getParent()));
        } catch (IOException e) {
            System.getLogger(UserNat.class.getName()).log(System.Logger.Level.DEBUG, "a socket stays", e);
        }
    }

    @Override
    public void removeForward(PortForward forward) {
        if (forward.ipv6()) {
            relays.remove(forward);
        } else if (!closed) {
            int ignored = call(
                    slirp -> slirp.removeForward(forward.udp(), forward.hostAddress4(), forward.hostPort()) ? 0 : 1);
        }
    }

    @Override
    public boolean failed() {
        return failed;
    }

    @Override
    public void offer(HostService service) {
        if (!services.add(service.port())) {
            throw new NetworkException(
                    "port " + service.port() + " of host.torte has a service: give each another port");
        }
        if (call(slirp -> slirp.addUnix(service.socket().toString(), subnet.host(), service.port()) ? 0 : 1) != 0) {
            services.remove(service.port());
            throw new NetworkException("libslirp does not take the service " + service);
        }
    }

    private interface Call {
        int on(Slirp slirp);
    }

    /** Runs something on the stack's thread. */
    private int call(Call call) {
        CompletableFuture<Integer> result = new CompletableFuture<>();
        commands.add(() -> {
            Slirp slirp = running;
            if (slirp == null) {
                result.completeExceptionally(new NetworkException("the network is closed"));
            } else {
                try {
                    result.complete(call.on(slirp));
                } catch (RuntimeException e) {
                    result.completeExceptionally(e);
                }
            }
        });
        wakeup.signal();
        if (closed) {
            throw new NetworkException("the network is closed");
        }
        try {
            return result.join();
        } catch (CompletionException e) {
            throw new NetworkException("the network cannot do that: " + e.getCause(), e);
        }
    }

    private void run() {
        Slirp slirp;
        stack.lock();
        try {
            slirp = new Slirp(subnet, ipv6, hostLoopback, new Callbacks());
            running = slirp;
            started.complete(null);
        } catch (RuntimeException | Error e) {
            started.completeExceptionally(e);
            return;
        } finally {
            stack.unlock();
        }
        try (Arena arena = Arena.ofConfined()) {
            Posix.Errno errno = new Posix.Errno(arena);
            int result = 0;
            while (!closed) {
                turn(slirp, errno, result);
                result = awaited.await(errno, waitMillis);
            }
        } catch (RuntimeException | Error e) {
            fail(e);
        } finally {
            closed = true; // also when it fails: nobody is to wait for it
            stack.lock();
            try {
                running = null;
                runCommands();
                slirp.close();
            } finally {
                stack.unlock();
            }
        }
    }

    private void fail(Throwable why) {
        if (!failed) {
            failed = true;
            System.getLogger(UserNat.class.getName())
                    .log(System.Logger.Level.ERROR, "the network's NAT has ended", why);
        }
        closed = true;
        wakeup.signal();
    }

    /** Does what there is to do after a wait, and says what to wait for next. */
    private void turn(Slirp slirp, Posix.Errno errno, int result) {
        threadWaits = true;
        stack.lock();
        try {
            threadWaits = false;
            wakeup.clear();
            int found = result;
            if (stale) {
                fill(slirp);
                found = awaited.await(errno, 0);
            }
            slirp.poll(awaited, found < 0);
            takeQueue(slirp);
            runCommands();
            fill(slirp);
        } finally {
            stack.unlock();
        }
    }

    private void fill(Slirp slirp) {
        awaited.begin(wakeup.fd());
        waitMillis = Math.clamp(slirp.fill(awaited, LONGEST_WAIT_MILLIS), 0, LONGEST_WAIT_MILLIS);
        stale = false;
    }

    /** Gives the stack what waits for it, and the guests what it says. */
    private void takeQueue(Slirp slirp) {
        FrameBatch batch;
        synchronized (lock) {
            batch = incoming;
            incoming = working;
            working = batch;
        }
        for (int i = 0; i < batch.size(); i++) {
            input(slirp, batch, i);
        }
        batch.clear();
        for (int i = 0; i < answers.size(); i++) {
            slirp.input(answers.bytes().asSlice(answers.offset(i)), answers.length(i));
        }
        answers.clear();
        deliver();
    }

    private void runCommands() {
        for (Runnable command = commands.poll(); command != null; command = commands.poll()) {
            command.run();
        }
    }

    private void input(Slirp slirp, FrameBatch batch, int frame) {
        if (batch.segmentSize(frame) != 0) {
            if (!offloads.completeWhole(batch, frame)) {
                dropped.incrementAndGet();
                return;
            }
            batch.describe(frame, FrameBatch.TRANSPORT_CHECKSUM_NEEDED, 0, FrameBatch.NO_VLAN);
        }
        offloads.completeChecksums(batch, frame);
        slirp.input(batch.bytes().asSlice(batch.offset(frame)), batch.length(frame));
    }

    private void deliver() {
        Inside target = inside;
        if (outgoing.size() > 0 && target != null) {
            target.deliver(outgoing);
            outgoing.clear();
        }
    }

    @Override
    public void close() {
        relays.close();
        closed = true;
        wakeup.signal();
        try {
            thread.join();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        wakeup.close();
    }

    private final class Callbacks implements Slirp.Callbacks {
        @Override
        public long clockNanos() {
            return System.nanoTime();
        }

        @Override
        public void sendPacket(MemorySegment frame) {
            int length = (int) frame.byteSize();
            if (length < Packets.ETHERNET_HEADER || length > FrameBatch.MAX_LENGTH) {
                return;
            }
            int type = (frame.get(JAVA_BYTE, 12) & 0xff) << 8 | frame.get(JAVA_BYTE, 13) & 0xff;
            if (type == Packets.ARP || isNeighbourDiscovery(frame, type, length)) { // between it and us
                byte[] reply = GuestNeighbour.answer(GUESTS, frame);
                if (reply != null) {
                    answer(reply);
                }
                return;
            }
            int at = outgoing.append(length);
            if (at < 0) {
                deliver();
                at = outgoing.append(length);
            }
            MemorySegment.copy(frame, 0, outgoing.bytes(), at, length);
            describe(outgoing.size() - 1, length);
        }

        /** A segment that is longer than the guests' MTU is a large send: the adapter cuts it, or its guest takes it whole. */
        private void describe(int frame, int length) {
            if (length <= mtu + Packets.ETHERNET_HEADER) {
                outgoing.describe(
                        frame, FrameBatch.IP_CHECKSUM_GOOD | FrameBatch.TRANSPORT_CHECKSUM_GOOD, 0, FrameBatch.NO_VLAN);
                return;
            }
            headers.parse(outgoing, frame);
            if (headers.isTcp()) {
                outgoing.describe(
                        frame,
                        FrameBatch.IP_CHECKSUM_NEEDED | FrameBatch.TRANSPORT_CHECKSUM_NEEDED,
                        mtu - (headers.payload() - headers.ip()),
                        FrameBatch.NO_VLAN);
            }
        }

        private static boolean isNeighbourDiscovery(MemorySegment frame, int type, int length) {
            if (type != Packets.IPV6 || length <= 54 || frame.get(JAVA_BYTE, 20) != Packets.ICMPV6) {
                return false;
            }
            int message = frame.get(JAVA_BYTE, 54) & 0xff;
            return message >= 133 && message <= 137;
        }

        private void answer(byte[] frame) {
            int at = answers.append(frame.length);
            if (at >= 0) {
                MemorySegment.copy(frame, 0, answers.bytes(), JAVA_BYTE, at, frame.length);
            }
        }
    }
}
