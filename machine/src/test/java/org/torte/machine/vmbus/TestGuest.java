package org.torte.machine.vmbus;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.invoke.VarHandle;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executor;
import org.jspecify.annotations.Nullable;
import org.torte.base.GuestMemory;
import org.torte.hypervisor.Partition.Doorbell;
import org.torte.machine.hyperv.HypercallStatus;
import org.torte.machine.hyperv.SynicPort;

/** The guest's end of a bus, without a processor: it posts messages, keeps what comes back, and reads and writes rings. */
public final class TestGuest implements SynicPort, AutoCloseable {
    /** Version 5.3. */
    public static final int NEWEST = 5 << 16 | 3;

    /** RAM in bytes. */
    public static final int RAM = 16 << 20;

    private static final int PAGE = 4096;

    /** RAM. */
    public final GuestMemory memory = GuestMemory.allocate(RAM);

    /** Messages that have come, without their types' fillings. */
    public final ArrayDeque<ByteBuffer> messages = new ArrayDeque<>();

    /** Channels that have interrupted, one entry for each time. */
    public final List<Integer> interrupts = new ArrayList<>();

    /** What devices reported as errors of their own. */
    public final List<Throwable> failures = new ArrayList<>();

    /** How many more messages there is room for. */
    public int room = 4096;

    /** The bus. */
    public final Vmbus bus;

    private final Map<Integer, Runnable> doorbells = new ConcurrentHashMap<>();
    private int nextHandle = 0xe1e10;
    private int nextPage = 64;

    /** A guest whose devices work on the caller's thread. */
    public TestGuest() {
        this(Runnable::run);
    }

    /** A guest whose devices work where {@code executor} says. */
    public TestGuest(Executor executor) {
        bus = new Vmbus(
                new BusHost(
                        memory,
                        (address, length) -> {
                            if (!memory.contains(address, length)) {
                                throw new AssertionError("a write outside RAM");
                            }
                        },
                        executor,
                        failures::add),
                this);
        bus.start();
    }

    @Override
    public void close() {
        memory.close();
    }

    // ---- what the bus sees

    @Override
    public int processors() {
        return 4;
    }

    @Override
    public synchronized boolean post(int processor, int sint, int type, byte[] payload) {
        assertThat(type).isEqualTo(1);
        messages.add(ByteBuffer.wrap(payload).order(ByteOrder.LITTLE_ENDIAN));
        return true;
    }

    @Override
    public int room(int processor, int sint) {
        return room;
    }

    @Override
    public synchronized void signal(int processor, int sint, int flag) {
        interrupts.add(flag);
    }

    @Override
    public void discard(int processor, int sint) {}

    /** As back-ends that have them: not for all that is asked for. */
    @Override
    public Optional<Doorbell> doorbell(int connection, Runnable rung) {
        if (connection % 2 == 0) {
            return Optional.empty();
        }
        // A bus that is restored beside an older one takes its doorbells over.
        doorbells.put(connection, rung);
        return Optional.of(() -> doorbells.remove(connection, rung));
    }

    /** Connections whose events do not go to {@link Vmbus#signal}. */
    public Set<Integer> doorbells() {
        return Set.copyOf(doorbells.keySet());
    }

    // ---- messages

    /** Posts a message of 4-byte values. */
    public HypercallStatus post(int type, int... values) {
        ByteBuffer message = ByteBuffer.allocate(8 + 4 * values.length).order(ByteOrder.LITTLE_ENDIAN);
        message.putInt(type).putInt(0);
        for (int value : values) {
            message.putInt(value);
        }
        return bus.post(4, 1, message.array());
    }

    /** The next message, of this type, positioned after its header. */
    public synchronized ByteBuffer expect(int type) {
        ByteBuffer message = messages.remove();
        assertThat(message.getInt()).isEqualTo(type);
        message.getInt();
        return message;
    }

    /** Makes contact; whether the version is supported. */
    public boolean connect(int version) {
        int connection = version >>> 16 >= 5 ? 4 : 1;
        ByteBuffer message = ByteBuffer.allocate(40).order(ByteOrder.LITTLE_ENDIAN);
        message.putInt(14).putInt(0).putInt(version).putInt(1);
        message.putInt(connection == 4 ? 2 : 0x5000);
        assertThat(bus.post(connection, 1, message.array())).isEqualTo(HypercallStatus.SUCCESS);
        return expect(15).get() != 0;
    }

    /** Asks for offers; the numbers of the channels offered. */
    public List<Integer> offers() {
        post(3);
        List<Integer> channels = new ArrayList<>();
        while (messages.element().getInt(0) == 1) {
            channels.add(messages.remove().getInt(8 + 176));
        }
        expect(4);
        return channels;
    }

    /** Gives pages as a buffer; whether the bus took it. */
    public boolean createGpadl(int channel, int handle, int length, int offset, long... pages) {
        ByteBuffer all = ByteBuffer.allocate(8 + 8 * pages.length).order(ByteOrder.LITTLE_ENDIAN);
        all.putInt(length).putInt(offset);
        for (long page : pages) {
            all.putLong(page);
        }
        byte[] text = all.array();
        int first = Math.min(text.length, 8 + 8 * 26);
        ByteBuffer header = ByteBuffer.allocate(20 + first).order(ByteOrder.LITTLE_ENDIAN);
        header.putInt(8)
                .putInt(0)
                .putInt(channel)
                .putInt(handle)
                .putShort((short) text.length)
                .putShort((short) 1)
                .put(text, 0, first);
        bus.post(4, 1, header.array());
        int number = 1;
        for (int at = first; at < text.length; number++) {
            int part = Math.min(text.length - at, 8 * 28);
            ByteBuffer body = ByteBuffer.allocate(16 + part).order(ByteOrder.LITTLE_ENDIAN);
            body.putInt(9).putInt(0).putInt(number).putInt(handle).put(text, at, part);
            bus.post(4, 1, body.array());
            at += part;
        }
        ByteBuffer created = expect(10);
        assertThat(created.getInt()).isEqualTo(channel);
        assertThat(created.getInt()).isEqualTo(handle);
        return created.getInt() == 0;
    }

    /** Numbers of fresh pages, no two of them neighbours if {@code scattered}. */
    public long[] pages(int count, boolean scattered) {
        long[] pages = new long[count];
        for (int i = 0; i < count; i++) {
            pages[i] = nextPage;
            nextPage += scattered ? 2 : 1;
        }
        return pages;
    }

    /** Opens a channel with rings of so many pages each, control page included. */
    public OpenChannel open(int channel, int ringPages) {
        int handle = nextHandle++;
        long[] pages = pages(2 * ringPages, true);
        assertThat(createGpadl(channel, handle, 2 * ringPages * PAGE, 0, pages)).isTrue();
        OpenChannel opened = new OpenChannel(channel, handle, ringPages, pages);
        assertThat(openRaw(channel, handle, 2, ringPages)).isTrue();
        return opened;
    }

    /** Asks for a channel to be opened; whether it was. */
    public boolean openRaw(int channel, int handle, int processor, int downstream) {
        int[] values = new int[35];
        values[0] = channel;
        values[1] = 77;
        values[2] = handle;
        values[3] = processor;
        values[4] = downstream;
        post(5, values);
        ByteBuffer result = expect(6);
        assertThat(result.getInt()).isEqualTo(channel);
        assertThat(result.getInt()).isEqualTo(77);
        return result.getInt() == 0;
    }

    /**
     * A packet as the guest gets it.
     *
     * @param descriptor what its type adds to the header
     */
    public record Received(int type, long transaction, ByteBuffer descriptor, ByteBuffer data) {}

    /** The guest's side of an open channel. */
    public final class OpenChannel {
        /** Its number. */
        public final int id;

        /** The handle of its rings. */
        public final int handle;

        /** How often {@link #send} has signalled. */
        public int signals;

        private final int size;
        private final int ringPages;
        private final long[] pages;

        OpenChannel(int id, int handle, int ringPages, long[] pages) {
            this.id = id;
            this.handle = handle;
            this.ringPages = ringPages;
            this.pages = pages;
            size = (ringPages - 1) * PAGE;
        }

        /** The address of a control field of the ring to the host or from it. */
        public long control(boolean toHost, int field) {
            return pages[toHost ? 0 : ringPages] * PAGE + field;
        }

        private long address(boolean toHost, int at) {
            int position = Math.floorMod(at, size);
            return pages[(toHost ? 1 : ringPages + 1) + position / PAGE] * PAGE + position % PAGE;
        }

        private void put(int at, byte[] bytes) {
            for (int i = 0; i < bytes.length; i++) {
                memory.putByte(address(true, at + i), bytes[i]);
            }
        }

        /** Writes raw bytes as a packet; false when there is no room. */
        public boolean write(byte[] packet) {
            int in = memory.getInt(control(true, 0));
            int out = memory.getIntVolatile(control(true, 4));
            if (size - Math.floorMod(in - out, size) <= packet.length + 8) {
                return false;
            }
            put(in, packet);
            put(in + packet.length, new byte[8]);
            memory.putIntVolatile(control(true, 0), (in + packet.length + 8) % size);
            return true;
        }

        /** A packet's bytes: header, descriptor, data filled up. */
        public byte[] packet(int type, int flags, long transaction, byte[] descriptor, byte[] data) {
            int length = 16 + descriptor.length + (data.length + 7 & ~7);
            ByteBuffer out = ByteBuffer.allocate(length).order(ByteOrder.LITTLE_ENDIAN);
            out.putShort((short) type)
                    .putShort((short) ((16 + descriptor.length) / 8))
                    .putShort((short) (length / 8))
                    .putShort((short) flags)
                    .putLong(transaction)
                    .put(descriptor)
                    .put(data);
            return out.array();
        }

        /** Writes data in band and signals as Linux does: when the ring was empty and the host wants to hear of it. */
        public boolean send(long transaction, byte[] data) {
            int before = memory.getInt(control(true, 0));
            boolean written = write(packet(6, 1, transaction, new byte[0], data));
            VarHandle.fullFence();
            if (written
                    && memory.getIntVolatile(control(true, 8)) == 0
                    && memory.getIntVolatile(control(true, 4)) == before) {
                signal();
                signals++;
            }
            return written;
        }

        /** Signals the host. */
        public void signal() {
            Runnable doorbell = doorbells.get(0x2000 | id);
            if (doorbell != null) {
                doorbell.run();
            } else {
                assertThat(bus.signal(0x2000 | id, 0)).isEqualTo(HypercallStatus.SUCCESS);
            }
        }

        /** Takes the next packet; signals when the host waits for the room. */
        public @Nullable Received receive() {
            int in = memory.getIntVolatile(control(false, 0));
            int out = memory.getInt(control(false, 4));
            if (in == out) {
                return null;
            }
            byte[] header = get(out, 16);
            ByteBuffer view = ByteBuffer.wrap(header).order(ByteOrder.LITTLE_ENDIAN);
            int start = view.getShort(2) * 8;
            int length = view.getShort(4) * 8;
            byte[] data = get(out + start, length - start);
            ByteBuffer trailer = ByteBuffer.wrap(get(out + length, 8)).order(ByteOrder.LITTLE_ENDIAN);
            assertThat(trailer.getInt(4)).isEqualTo(out);
            int next = (out + length + 8) % size;
            memory.putIntVolatile(control(false, 4), next);
            int pending = memory.getIntVolatile(control(false, 12));
            // As Linux does, with what the host has written by now.
            int written = memory.getIntVolatile(control(false, 0));
            int freeBefore = size - Math.floorMod(written - out, size);
            int free = size - Math.floorMod(written - next, size);
            if (pending != 0 && freeBefore <= pending && free > pending) {
                signal();
            }
            return new Received(
                    view.getShort(0),
                    view.getLong(8),
                    ByteBuffer.wrap(get(out + 16, start - 16)).order(ByteOrder.LITTLE_ENDIAN),
                    ByteBuffer.wrap(data).order(ByteOrder.LITTLE_ENDIAN));
        }

        /** What the ranges of a transfer-page packet hold, in a buffer with these pages. */
        public List<ByteBuffer> transferRanges(Received packet, long[] bufferPages) {
            List<ByteBuffer> contents = new ArrayList<>();
            int count = packet.descriptor().getInt(4);
            for (int i = 0; i < count; i++) {
                byte[] content = new byte[packet.descriptor().getInt(8 + 8 * i)];
                int from = packet.descriptor().getInt(12 + 8 * i);
                for (int j = 0; j < content.length; j++) {
                    content[j] = (byte) memory.getByte(bufferPages[(from + j) / PAGE] * PAGE + (from + j) % PAGE);
                }
                contents.add(ByteBuffer.wrap(content).order(ByteOrder.LITTLE_ENDIAN));
            }
            return contents;
        }

        private byte[] get(int at, int length) {
            byte[] bytes = new byte[length];
            for (int i = 0; i < length; i++) {
                bytes[i] = (byte) memory.getByte(address(false, at + i));
            }
            return bytes;
        }
    }
}
