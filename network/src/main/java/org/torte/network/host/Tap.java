package org.torte.network.host;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;
import static java.nio.charset.StandardCharsets.US_ASCII;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;
import org.torte.base.net.FrameBatch;
import org.torte.base.net.MacAddress;
import org.torte.base.net.NetworkAdapter;
import org.torte.base.net.NetworkPort;
import org.torte.network.NetworkException;
import org.torte.network.posix.Posix;
import org.torte.network.posix.Wakeup;

/**
 * A network interface of the host whose other end is a port: what the host sends there comes in, what comes out the host
 * receives (Documentation/networking/tuntap.rst). Large sends and unfinished checksums go through in both directions.
 * Making one needs root (CAP_NET_ADMIN), opening one that was made for this user does not. Safe for several threads; one of its own reads what the host sends.
 */
public final class Tap implements NetworkAdapter, AutoCloseable {
    private static final String DEVICE = "/dev/net/tun";
    private static final long TUNSETIFF = 0x400454caL, TUNSETOFFLOAD = 0x400454d0L, TUNSETVNETHDRSZ = 0x400454d8L;
    private static final long TUNSETPERSIST = 0x400454cbL;
    private static final long SIOCGIFFLAGS = 0x8913L, SIOCSIFFLAGS = 0x8914L, SIOCSIFMTU = 0x8922L;
    private static final int IFF_TAP = 2, IFF_NO_PI = 0x1000, IFF_VNET_HDR = 0x4000, IFF_UP = 1;
    private static final int CHECKSUMS = 1, TCP4 = 2, TCP6 = 4, TCP_ECN = 8;
    private static final int GONE = Posix.POLLERR | Posix.POLLHUP;
    private static final int NAME = 16, REQUEST = 40;
    private static final int FRAMES = 64, BYTES = 1 << 20;

    private final String name;
    private final MacAddress address;
    private final int fd;
    private final Wakeup wakeup;
    private final Thread reader;
    private final Object writing = new Object();
    private final VirtioHeader out = new VirtioHeader();
    private final Posix.Errno writeErrno = new Posix.Errno(Arena.ofAuto());
    private final AtomicLong refused = new AtomicLong();
    private @Nullable NetworkPort port;
    private volatile boolean closed;
    private volatile boolean gone;

    private Tap(String name, MacAddress address, int fd, Wakeup wakeup) {
        this.name = name;
        this.address = address;
        this.fd = fd;
        this.wakeup = wakeup;
        reader = Thread.ofPlatform().name("torte-tap-" + name).daemon().unstarted(this::read);
    }

    /**
     * Makes an interface, which is there as long as it is open, or opens one that was made to stay and nobody has open.
     *
     * @param name 1 to 15 characters
     * @param address what the port is told; the interface has one of its own
     * @throws NetworkException when the host refuses
     */
    public static Tap open(String name, MacAddress address) {
        try (Arena arena = Arena.ofConfined()) {
            Posix.Errno errno = new Posix.Errno(arena);
            int fd = Posix.open(errno, DEVICE, Posix.O_RDWR | Posix.O_NONBLOCK | Posix.O_CLOEXEC);
            if (fd < 0) {
                throw new NetworkException(
                        "the host's interface " + name + " needs " + DEVICE + ": " + reason(errno.value()));
            }
            boolean made = false;
            try {
                MemorySegment request = request(arena, name);
                request.set(JAVA_SHORT, NAME, (short) (IFF_TAP | IFF_NO_PI | IFF_VNET_HDR));
                check(Posix.ioctl(errno, fd, TUNSETIFF, request), errno, "making the interface " + name);
                MemorySegment size = arena.allocate(JAVA_INT);
                size.set(JAVA_INT, 0, VirtioHeader.SIZE);
                check(Posix.ioctl(errno, fd, TUNSETVNETHDRSZ, size), errno, "setting up the interface " + name);
                MemorySegment offloads = MemorySegment.ofAddress(CHECKSUMS | TCP4 | TCP6 | TCP_ECN);
                check(Posix.ioctl(errno, fd, TUNSETOFFLOAD, offloads), errno, "setting up the interface " + name);
                Tap tap = new Tap(name, address, fd, new Wakeup());
                made = true;
                return tap;
            } finally {
                if (!made) {
                    Posix.close(fd);
                }
            }
        } catch (IOException e) {
            throw new NetworkException("no interface " + name + ": " + e.getMessage(), e);
        }
    }

    private static MemorySegment request(Arena arena, String name) {
        byte[] bytes = name.getBytes(US_ASCII);
        if (bytes.length == 0 || bytes.length >= NAME) {
            throw new NetworkException("the name of an interface has 1 to 15 characters: " + name);
        }
        MemorySegment request = arena.allocate(REQUEST, 8);
        request.asSlice(0, bytes.length).copyFrom(MemorySegment.ofArray(bytes));
        return request;
    }

    private static void check(int result, Posix.Errno errno, String what) {
        if (result < 0) {
            throw new NetworkException(what + ": " + reason(errno.value()));
        }
    }

    private static String reason(int errno) {
        return switch (errno) {
            case Posix.EPERM, Posix.EACCES -> "only root may do that";
            case Posix.ENOENT -> "the host's kernel has no TUN driver (modprobe tun)";
            case Posix.EBUSY -> "there is one of that name in use";
            default -> "error " + errno;
        };
    }

    /** The interface's name. */
    public String name() {
        return name;
    }

    /** Whether somebody has removed the interface; then this has to be closed, and another one opened. */
    public boolean gone() {
        return gone;
    }

    /** Frames that the host did not take: its interface is down, or it is out of memory. */
    public long refused() {
        return refused.get();
    }

    /**
     * Says whether the interface outlives this object and its process.
     *
     * @throws NetworkException when the host refuses
     */
    public void persist(boolean stays) {
        try (Arena arena = Arena.ofConfined()) {
            Posix.Errno errno = new Posix.Errno(arena);
            MemorySegment flag = MemorySegment.ofAddress(stays ? 1 : 0);
            check(Posix.ioctl(errno, fd, TUNSETPERSIST, flag), errno, "setting up the interface " + name);
        }
    }

    /** Sets the interface up, with an MTU; it must still be in this process's network namespace. */
    public void up(int mtu) {
        try (Arena arena = Arena.ofConfined()) {
            Posix.Errno errno = new Posix.Errno(arena);
            int socket = Posix.datagramSocket(errno);
            check(socket, errno, "setting up the interface " + name);
            try {
                MemorySegment request = request(arena, name);
                request.set(JAVA_INT, NAME, mtu);
                check(Posix.ioctl(errno, socket, SIOCSIFMTU, request), errno, "setting the MTU of " + name);
                check(Posix.ioctl(errno, socket, SIOCGIFFLAGS, request), errno, "setting up the interface " + name);
                request.set(JAVA_SHORT, NAME, (short) (request.get(JAVA_SHORT, NAME) | IFF_UP));
                check(Posix.ioctl(errno, socket, SIOCSIFFLAGS, request), errno, "setting up the interface " + name);
            } finally {
                Posix.close(socket);
            }
        }
    }

    /** Plugs it in and begins to read. Once. */
    public void start(NetworkPort into) {
        port = into;
        into.plug(this);
        reader.start();
    }

    @Override
    public MacAddress address() {
        return address;
    }

    @Override
    public int receive(FrameBatch frames, int first) {
        synchronized (writing) {
            for (int i = first; i < frames.size(); i++) {
                write(frames, i);
            }
        }
        return frames.size() - first;
    }

    /** Gives the host one frame. */
    void write(FrameBatch frames, int frame) {
        synchronized (writing) {
            if (!closed && Posix.writev(writeErrno, fd, out.pieces(), out.describe(frames, frame)) < 0) {
                refused.incrementAndGet();
            }
        }
    }

    @Override
    public void linkChanged() {}

    @Override
    public void roomAvailable() {
        wakeup.signal();
    }

    private void read() {
        NetworkPort to = java.util.Objects.requireNonNull(port);
        VirtioHeader in = new VirtioHeader();
        FrameBatch batch = new FrameBatch(FRAMES, BYTES);
        int next = 0;
        try (Arena arena = Arena.ofConfined()) {
            Posix.Errno errno = new Posix.Errno(arena);
            MemorySegment polled = arena.allocate(16, 8);
            polled.set(JAVA_INT, 0, wakeup.fd());
            polled.set(JAVA_SHORT, 4, Posix.POLLIN);
            polled.set(JAVA_INT, 8, fd);
            polled.set(JAVA_SHORT, 12, Posix.POLLIN);
            while (!closed) {
                // A port that takes no more says when it does: until then the host's queue fills and drops.
                int ignored = Posix.poll(errno, polled, next < batch.size() ? 1 : 2, -1);
                wakeup.clear();
                if ((polled.get(JAVA_SHORT, 14) & GONE) != 0) {
                    gone = true; // somebody has removed the interface: there is nothing to read any more, ever
                    return;
                }
                if (next == batch.size()) {
                    batch.clear();
                    next = 0;
                    readSome(errno, in, batch);
                }
                next += to.send(batch, next);
            }
        }
    }

    private void readSome(Posix.Errno errno, VirtioHeader in, FrameBatch batch) {
        while (batch.hasRoom(FrameBatch.MAX_LENGTH)) {
            int at = batch.append(FrameBatch.MAX_LENGTH);
            long got = Posix.readv(errno, fd, in.piecesFor(batch.bytes(), at, FrameBatch.MAX_LENGTH), 2);
            if (got < VirtioHeader.SIZE) {
                batch.removeLast();
                return;
            }
            batch.trimLast((int) got - VirtioHeader.SIZE);
            in.tell(batch, batch.size() - 1);
        }
    }

    /** Unplugs itself; the interface is gone on return, unless it is to stay. */
    @Override
    public void close() {
        if (closed) {
            return;
        }
        closed = true;
        wakeup.signal();
        NetworkPort from = port;
        if (from != null) {
            from.unplug();
            try {
                reader.join();
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }
        synchronized (writing) {
            Posix.close(fd);
        }
        wakeup.close();
    }
}
