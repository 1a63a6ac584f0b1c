package org.torte.network.host;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import org.jspecify.annotations.Nullable;
import org.torte.network.NetworkException;
import org.torte.network.gateway.Subnet;
import org.torte.network.posix.Posix;

/**
 * One TCP/IP stack of libslirp 4 (libslirp.h, configuration version 4; layouts for 64-bit hosts). One call at a time, from
 * any thread. Its DHCP is off, and what it says about neighbours and routers is not passed on: the gateway does those.
 */
final class Slirp {
    /** What it asks of us, on the thread that called it. */
    interface Callbacks {
        /** A frame for the guests' network. */
        void sendPacket(MemorySegment frame);

        /** Nanoseconds of a clock that does not go back. */
        long clockNanos();
    }

    /** Where it enters the descriptors to poll: returns the index under which it will ask for what happened. */
    interface PollSet {
        int add(int fd, int events);

        int happened(int index);
    }

    static final int POLL_IN = 1, POLL_OUT = 2, POLL_PRI = 4, POLL_ERR = 8, POLL_HUP = 16;

    /** The largest that it knows (IF_MTU_MAX): what it gives us is cut later, or by nobody. */
    static final int LARGEST_MTU = 65521;

    private static final String LIBRARY = "libslirp.so.0";
    private static final long CONFIG_SIZE = 184, CALLBACKS_SIZE = 88;
    private static final int AF_UNIX = 1, AF_INET = 2, SOCKADDR_UN = 110, SOCKADDR_IN = 16;
    private static final ValueLayout.OfShort BIG_SHORT = JAVA_SHORT.withOrder(ByteOrder.BIG_ENDIAN);

    /** The library, when somebody needs it. */
    private static final class Library {
        private static final Linker LINKER = Linker.nativeLinker();
        private static final SymbolLookup SYMBOLS = SymbolLookup.libraryLookup(LIBRARY, Arena.global());
        static final MethodHandle NEW = handle("slirp_new", FunctionDescriptor.of(ADDRESS, ADDRESS, ADDRESS, ADDRESS));
        static final MethodHandle CLEANUP = handle("slirp_cleanup", FunctionDescriptor.ofVoid(ADDRESS));
        static final MethodHandle FILL =
                handle("slirp_pollfds_fill", FunctionDescriptor.ofVoid(ADDRESS, ADDRESS, ADDRESS, ADDRESS));
        static final MethodHandle POLL =
                handle("slirp_pollfds_poll", FunctionDescriptor.ofVoid(ADDRESS, JAVA_INT, ADDRESS, ADDRESS));
        static final MethodHandle INPUT = handle("slirp_input", FunctionDescriptor.ofVoid(ADDRESS, ADDRESS, JAVA_INT));
        // struct in_addr, four bytes by value, travels as an int does.
        static final MethodHandle ADD_FORWARD = handle(
                "slirp_add_hostfwd",
                FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_INT, JAVA_INT, JAVA_INT, JAVA_INT, JAVA_INT));
        static final MethodHandle ADD_UNIX =
                handle("slirp_add_unix", FunctionDescriptor.of(JAVA_INT, ADDRESS, ADDRESS, ADDRESS, JAVA_INT));
        static final MethodHandle ADD_ANY_FORWARD = handle(
                "slirp_add_hostxfwd",
                FunctionDescriptor.of(JAVA_INT, ADDRESS, ADDRESS, JAVA_INT, ADDRESS, JAVA_INT, JAVA_INT));
        static final MethodHandle REMOVE_ANY_FORWARD =
                handle("slirp_remove_hostxfwd", FunctionDescriptor.of(JAVA_INT, ADDRESS, ADDRESS, JAVA_INT, JAVA_INT));
        static final MethodHandle REMOVE_FORWARD =
                handle("slirp_remove_hostfwd", FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_INT, JAVA_INT, JAVA_INT));

        private static MethodHandle handle(String name, FunctionDescriptor type) {
            return LINKER.downcallHandle(SYMBOLS.findOrThrow(name), type, Posix.captureErrno());
        }

        static MemorySegment upcall(Object target, String name, FunctionDescriptor type, Arena arena) {
            try {
                MethodType java = type.toMethodType();
                MethodHandle handle = MethodHandles.lookup().bind(target, name, java);
                return LINKER.upcallStub(handle, type, arena);
            } catch (ReflectiveOperationException e) {
                throw new IllegalStateException(e);
            }
        }
    }

    private final Callbacks callbacks;
    /** For the call that is being made. */
    private @Nullable PollSet polls;

    private final Arena arena = Arena.ofShared();
    private final Posix.Errno errno = new Posix.Errno(arena);
    private final MemorySegment timeout = arena.allocate(JAVA_INT);
    private final MemorySegment addPoll;
    private final MemorySegment getEvents;
    private final MemorySegment stack;

    /**
     * Makes a stack.
     *
     * @param hostLoopback whether guests reach the host's loopback addresses through the gateway's
     * @throws NetworkException when the library is missing
     */
    Slirp(Subnet subnet, boolean ipv6, boolean hostLoopback, Callbacks callbacks) {
        this.callbacks = callbacks;
        require();
        Stubs stubs = new Stubs();
        addPoll = Library.upcall(stubs, "addPoll", FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_INT, ADDRESS), arena);
        getEvents = Library.upcall(stubs, "getEvents", FunctionDescriptor.of(JAVA_INT, JAVA_INT, ADDRESS), arena);
        try {
            stack = (MemorySegment) Library.NEW.invokeExact(
                    errno.segment(), config(subnet, ipv6, hostLoopback), table(stubs), MemorySegment.NULL);
        } catch (Throwable e) {
            throw Posix.unexpected(e);
        }
        if (stack.equals(MemorySegment.NULL)) {
            throw new NetworkException("libslirp refuses the network's configuration");
        }
    }

    /**
     * Checks that the library is there.
     *
     * @throws NetworkException with what installs it
     */
    static void require() {
        try {
            MethodHandle _ = Library.NEW;
        } catch (ExceptionInInitializerError | NoClassDefFoundError e) {
            throw new NetworkException(
                    "a NAT network without root needs libslirp 4: install it (sudo apt-get install libslirp0)", e);
        }
    }

    private MemorySegment config(Subnet subnet, boolean ipv6, boolean hostLoopback) {
        MemorySegment config = arena.allocate(CONFIG_SIZE, 8);
        config.set(JAVA_INT, 0, 4); // version
        config.set(JAVA_BYTE, 8, (byte) 1); // in_enabled
        put(config, 12, subnet.network());
        put(config, 16, subnet.mask());
        put(config, 20, subnet.gateway());
        config.set(JAVA_BYTE, 24, (byte) (ipv6 ? 1 : 0));
        ByteBuffer prefix = config.asSlice(28, 16).asByteBuffer();
        prefix.putLong(subnet.prefix6());
        config.set(JAVA_BYTE, 44, (byte) 64);
        config.asSlice(48, 16).asByteBuffer().put(subnet.gateway6());
        put(config, 96, subnet.gateway() + 14); // where its DHCP would begin
        put(config, 100, subnet.gateway()); // its name service: TCP only gets there
        config.asSlice(104, 16).asByteBuffer().put(subnet.gateway6());
        config.set(JAVA_LONG, 136, LARGEST_MTU);
        config.set(JAVA_LONG, 144, LARGEST_MTU);
        config.set(JAVA_BYTE, 152, (byte) (hostLoopback ? 0 : 1));
        config.set(JAVA_BYTE, 177, (byte) 1); // disable_dhcp
        return config;
    }

    private static void put(MemorySegment config, long at, int address) {
        config.set(JAVA_INT, at, Integer.reverseBytes(address));
    }

    private MemorySegment table(Stubs stubs) {
        MemorySegment table = arena.allocate(CALLBACKS_SIZE, 8);
        FunctionDescriptor socket = FunctionDescriptor.ofVoid(JAVA_INT, ADDRESS);
        MemorySegment[] functions = {
            Library.upcall(stubs, "sendPacket", FunctionDescriptor.of(JAVA_LONG, ADDRESS, JAVA_LONG, ADDRESS), arena),
            Library.upcall(stubs, "guestError", FunctionDescriptor.ofVoid(ADDRESS, ADDRESS), arena),
            Library.upcall(stubs, "clock", FunctionDescriptor.of(JAVA_LONG, ADDRESS), arena),
            Library.upcall(stubs, "timerNew", FunctionDescriptor.of(ADDRESS, ADDRESS, ADDRESS, ADDRESS), arena),
            Library.upcall(stubs, "timerFree", FunctionDescriptor.ofVoid(ADDRESS, ADDRESS), arena),
            Library.upcall(stubs, "timerMod", FunctionDescriptor.ofVoid(ADDRESS, JAVA_LONG, ADDRESS), arena),
            Library.upcall(stubs, "pollDescriptor", socket, arena),
            Library.upcall(stubs, "pollDescriptor", socket, arena),
            Library.upcall(stubs, "notifyHost", FunctionDescriptor.ofVoid(ADDRESS), arena)
        };
        for (int i = 0; i < functions.length; i++) {
            table.set(ADDRESS, i * ADDRESS.byteSize(), functions[i]);
        }
        return table;
    }

    /** What the library calls, found by name. An exception that left one of these would end the JVM. */
    @SuppressWarnings({"UnusedMethod", "UnusedVariable"})
    private final class Stubs {
        long sendPacket(MemorySegment frame, long length, MemorySegment opaque) {
            try {
                callbacks.sendPacket(frame.reinterpret(length));
            } catch (RuntimeException e) {
                System.getLogger(Slirp.class.getName()).log(System.Logger.Level.WARNING, "a packet is lost", e);
            }
            return length;
        }

        /** A guest did something wrong: its own matter. */
        void guestError(MemorySegment message, MemorySegment opaque) {}

        long clock(MemorySegment opaque) {
            return callbacks.clockNanos();
        }

        /** Timers are for router advertisements only, which are ours: they never fire. */
        MemorySegment timerNew(MemorySegment callback, MemorySegment callbackOpaque, MemorySegment opaque) {
            return timeout;
        }

        void timerFree(MemorySegment timer, MemorySegment opaque) {}

        void timerMod(MemorySegment timer, long expireMillis, MemorySegment opaque) {}

        void pollDescriptor(int fd, MemorySegment opaque) {}

        void notifyHost(MemorySegment opaque) {}

        int addPoll(int fd, int events, MemorySegment opaque) {
            return polls == null ? -1 : polls.add(fd, events);
        }

        int getEvents(int index, MemorySegment opaque) {
            return polls == null ? 0 : polls.happened(index);
        }
    }

    /** Enters what is to be polled; returns how long to wait at most, in milliseconds. */
    int fill(PollSet set, int longestMillis) {
        polls = set;
        timeout.set(JAVA_INT, 0, longestMillis);
        try {
            Library.FILL.invokeExact(errno.segment(), stack, timeout, addPoll, MemorySegment.NULL);
        } catch (Throwable e) {
            throw Posix.unexpected(e);
        }
        return timeout.get(JAVA_INT, 0);
    }

    /** Handles what happened to those that were entered last, into this or a set that is the same. */
    void poll(PollSet set, boolean failed) {
        polls = set;
        try {
            Library.POLL.invokeExact(errno.segment(), stack, failed ? 1 : 0, getEvents, MemorySegment.NULL);
        } catch (Throwable e) {
            throw Posix.unexpected(e);
        }
    }

    /** Takes a frame from the guests' network: {@code length} bytes of native memory. */
    void input(MemorySegment frame, int length) {
        try {
            Library.INPUT.invokeExact(errno.segment(), stack, frame, length);
        } catch (Throwable e) {
            throw Posix.unexpected(e);
        }
    }

    /** Listens for a forward; the error number if it cannot, else 0. */
    int addForward(boolean udp, int hostAddress, int hostPort, int guestAddress, int guestPort) {
        try {
            int result = (int) Library.ADD_FORWARD.invokeExact(
                    errno.segment(),
                    stack,
                    udp ? 1 : 0,
                    Integer.reverseBytes(hostAddress),
                    hostPort,
                    Integer.reverseBytes(guestAddress),
                    guestPort);
            return result < 0 ? Math.max(errno.value(), 1) : 0;
        } catch (Throwable e) {
            throw Posix.unexpected(e);
        }
    }

    /** Leads connections to a port of an address of the guests' network to a Unix-domain socket; false if it cannot. */
    boolean addUnix(String path, int address, int port) {
        try (Arena call = Arena.ofConfined()) {
            MemorySegment place = call.allocate(JAVA_INT);
            place.set(JAVA_INT, 0, Integer.reverseBytes(address));
            return (int) Library.ADD_UNIX.invokeExact(errno.segment(), stack, call.allocateFrom(path), place, port)
                    >= 0;
        } catch (Throwable e) {
            throw Posix.unexpected(e);
        }
    }

    /** Listens at a Unix-domain socket for a guest's port; the error number if it cannot, else 0. */
    int addForward(String path, int guestAddress, int guestPort) {
        try (Arena call = Arena.ofConfined()) {
            MemorySegment host = unixAddress(call, path);
            MemorySegment guest = call.allocate(SOCKADDR_IN, 8);
            guest.set(JAVA_SHORT, 0, (short) AF_INET);
            guest.set(BIG_SHORT, 2, (short) guestPort);
            put(guest, 4, guestAddress);
            int result = (int) Library.ADD_ANY_FORWARD.invokeExact(
                    errno.segment(), stack, host, (int) host.byteSize(), guest, (int) guest.byteSize(), 0);
            return result < 0 ? Math.max(errno.value(), 1) : 0;
        } catch (Throwable e) {
            throw Posix.unexpected(e);
        }
    }

    /** Stops that; false if it was not. */
    boolean removeForward(String path) {
        try (Arena call = Arena.ofConfined()) {
            MemorySegment host = unixAddress(call, path);
            return (int) Library.REMOVE_ANY_FORWARD.invokeExact(errno.segment(), stack, host, (int) host.byteSize(), 0)
                    >= 0;
        } catch (Throwable e) {
            throw Posix.unexpected(e);
        }
    }

    /** {@code struct sockaddr_un}, unix(7). */
    private static MemorySegment unixAddress(Arena arena, String path) {
        byte[] bytes = path.getBytes(StandardCharsets.UTF_8);
        if (bytes.length > SOCKADDR_UN - 3) {
            throw new NetworkException("the path of a socket is too long: " + path);
        }
        MemorySegment address = arena.allocate(SOCKADDR_UN, 8);
        address.set(JAVA_SHORT, 0, (short) AF_UNIX);
        address.asSlice(2, bytes.length).copyFrom(MemorySegment.ofArray(bytes));
        return address;
    }

    boolean removeForward(boolean udp, int hostAddress, int hostPort) {
        try {
            return (int) Library.REMOVE_FORWARD.invokeExact(
                            errno.segment(), stack, udp ? 1 : 0, Integer.reverseBytes(hostAddress), hostPort)
                    >= 0;
        } catch (Throwable e) {
            throw Posix.unexpected(e);
        }
    }

    void close() {
        try {
            Library.CLEANUP.invokeExact(errno.segment(), stack);
        } catch (Throwable e) {
            throw Posix.unexpected(e);
        }
        arena.close();
    }
}
