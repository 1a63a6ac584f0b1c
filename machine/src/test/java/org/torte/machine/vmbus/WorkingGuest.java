package org.torte.machine.vmbus;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import org.torte.base.GuestMemory;
import org.torte.machine.vmbus.TestGuest.OpenChannel;
import org.torte.machine.vmbus.TestGuest.Received;

/**
 * The part of a hostile guest that knows what it does: it brings the bus, a SCSI controller and an adapter with a loopback into
 * work, from any state, and gives them work of which now and then a byte is wrong. It counts what the devices did for it.
 * Its pages are among those that the hostile part scribbles over.
 */
final class WorkingGuest {
    /** What devices did. */
    enum Reached {
        DISK_OPENED,
        DISK_READ,
        DISK_WRITTEN,
        DISK_REFUSED,
        NETWORK_OPENED,
        NETWORK_CONTROLLED,
        FRAME_SENT,
        FRAME_RECEIVED,
        CHANNEL_ADDED,
        FRAME_BY_ADDED_CHANNEL
    }

    private static final int STORAGE = 0xba6163d9;
    private static final int IN_BAND = 6, TRANSFER_PAGES = 7, DIRECT = 9, COMPLETION = 0xb;
    private static final int RING_PAGES = 3, BUFFER_PAGES = 8, MAX_PARALLEL = 6;
    private static final int RECEIVE_HANDLE = 0x900, SEND_HANDLE = 0x901, FIRST_RING_HANDLE = 0x910;
    private static final int PAGE = GuestMemory.PAGE_SIZE;
    private static final long MAC = 0x020000000001L;

    /** A channel that is offered. */
    private record Offer(int device, int subchannel) {}

    private final TestGuest guest;
    private final int firstPage;
    private final Random random;
    private final Map<Integer, Offer> offers = new TreeMap<>();
    private final Map<Integer, OpenChannel> open = new TreeMap<>();
    private final Map<Reached, Integer> reached = new EnumMap<>(Reached.class);
    private final Map<Long, Integer> commands = new TreeMap<>();
    private int nextHandle = FIRST_RING_HANDLE;
    private long transaction = 1;

    WorkingGuest(TestGuest guest, int firstPage, Random random) {
        this.guest = guest;
        this.firstPage = firstPage;
        this.random = random;
    }

    /** How often a device did something. */
    int reached(Reached what) {
        return reached.getOrDefault(what, 0);
    }

    private void reach(Reached what) {
        reached.merge(what, 1, Integer::sum);
    }

    /** Starts the bus anew; nothing is open after that. */
    void connect() {
        offers.clear();
        open.clear();
        commands.clear();
        guest.messages.clear();
        ByteBuffer contact = ByteBuffer.allocate(40).order(ByteOrder.LITTLE_ENDIAN);
        contact.putInt(14)
                .putInt(0)
                .putInt(TestGuest.NEWEST)
                .putInt(1 + random.nextInt(3))
                .putInt(2);
        guest.bus.post(4, 1, contact.array());
        guest.post(3);
        learn();
    }

    /** Reads what the bus has said. */
    void learn() {
        for (ByteBuffer message = guest.messages.poll(); message != null; message = guest.messages.poll()) {
            if (message.getInt(0) == 1) {
                offers.put(message.getInt(184), new Offer(message.getInt(8), message.getShort(180)));
            } else if (message.getInt(0) == 2) {
                offers.remove(message.getInt(8));
                open.remove(message.getInt(8));
            }
        }
    }

    /** Opens anew what is offered, the first channels before those that they bring, and has it work. */
    void open() {
        List.copyOf(offers.keySet()).forEach(this::openChannel);
        offers.keySet().stream().filter(id -> !open.containsKey(id)).toList().forEach(this::openChannel);
    }

    private void openChannel(int id) {
        guest.messages.clear();
        guest.post(7, id);
        open.remove(id);
        learn();
        Offer offer = offers.get(id);
        if (offer == null) {
            return; // it went with the one that brought it
        }
        int place = (id - 1) % MAX_PARALLEL * 2 * RING_PAGES;
        long[] pages = new long[2 * RING_PAGES];
        for (int i = 0; i < pages.length; i++) {
            pages[i] = firstPage + place + i;
            guest.memory.write(pages[i] * PAGE, new byte[PAGE], 0, PAGE);
        }
        int handle = nextHandle++;
        giveBuffer(id, handle, pages);
        guest.messages.clear();
        int[] values = new int[35];
        values[0] = id;
        values[2] = handle;
        values[4] = RING_PAGES;
        guest.post(5, values);
        boolean opened = guest.messages.stream().anyMatch(m -> m.getInt(0) == 6 && m.getInt(16) == 0);
        learn();
        if (!opened) {
            return;
        }
        OpenChannel channel = guest.new OpenChannel(id, handle, RING_PAGES, pages);
        open.put(id, channel);
        if (offer.device == STORAGE) {
            reach(Reached.DISK_OPENED);
            for (int operation : new int[] {7, 9, 10, 8}) {
                storage(channel, operation, operation == 9 ? 0x602 : 0);
            }
        } else if (offer.subchannel == 0) {
            startNetwork(id, channel);
        } else {
            reach(Reached.CHANNEL_ADDED);
        }
    }

    private long[] buffer(int number) {
        long[] pages = new long[BUFFER_PAGES];
        for (int i = 0; i < BUFFER_PAGES; i++) {
            pages[i] = firstPage + MAX_PARALLEL * 2 * RING_PAGES + number * BUFFER_PAGES + i;
        }
        return pages;
    }

    private void giveBuffer(int id, int handle, long[] pages) {
        ByteBuffer header = ByteBuffer.allocate(28 + 8 * pages.length).order(ByteOrder.LITTLE_ENDIAN);
        header.putInt(8).putInt(0).putInt(id).putInt(handle).putShort((short) (8 + 8 * pages.length));
        header.putShort((short) 1).putInt(pages.length * PAGE).putInt(0);
        for (long page : pages) {
            header.putLong(page);
        }
        guest.bus.post(4, 1, header.array());
    }

    private void startNetwork(int id, OpenChannel channel) {
        reach(Reached.NETWORK_OPENED);
        guest.post(11, id, RECEIVE_HANDLE);
        guest.post(11, id, SEND_HANDLE);
        giveBuffer(id, RECEIVE_HANDLE, buffer(0));
        giveBuffer(id, SEND_HANDLE, buffer(1));
        learn();
        int version = random.nextInt(4) == 0 ? 0x30002 : 0x60001;
        nvsp(channel, 1, version, version);
        nvsp(channel, 125, 1514, 0, 8, 0);
        nvsp(channel, 100, 6, 30);
        nvsp(channel, 101, RECEIVE_HANDLE, 0xcafe);
        nvsp(channel, 104, SEND_HANDLE, 0);
        control(channel, 2, 1, 0, 0x4000);
        control(channel, 5, 0x1010e, 4, 20, 0, 0x2d);
        nvsp(channel, 133, 1, 3);
        take(channel);
        learn();
    }

    private void nvsp(OpenChannel channel, int type, int... values) {
        ByteBuffer data =
                ByteBuffer.allocate(0x28).order(ByteOrder.LITTLE_ENDIAN).putInt(type);
        for (int value : values) {
            data.putInt(value);
        }
        write(channel, channel.packet(IN_BAND, 1, transaction++, new byte[0], data.array()));
    }

    private void write(OpenChannel channel, byte[] packet) {
        if (random.nextInt(40) == 0) {
            packet[random.nextInt(packet.length)] = (byte) random.nextInt();
        }
        if (channel.write(packet)) {
            guest.bus.signal(0x2000 | channel.id, 0);
        }
        take(channel);
    }

    private void control(OpenChannel channel, int type, int... values) {
        ByteBuffer out = ByteBuffer.allocate(12 + 4 * values.length).order(ByteOrder.LITTLE_ENDIAN);
        out.putInt(type).putInt(out.capacity()).putInt(1);
        for (int value : values) {
            out.putInt(value);
        }
        sendSection(channel, 1, out.array());
    }

    /** Sends an RNDIS message by the first section of the send buffer. */
    private void sendSection(OpenChannel channel, int kind, byte[] message) {
        long[] pages = buffer(1);
        for (int at = 0; at < message.length; at += PAGE) {
            guest.memory.write(pages[at / PAGE] * PAGE, message, at, Math.min(PAGE, message.length - at));
        }
        nvsp(channel, 107, kind, 0, message.length);
    }

    private void storage(OpenChannel channel, int operation, int argument) {
        ByteBuffer data = ByteBuffer.allocate(64).order(ByteOrder.LITTLE_ENDIAN);
        data.putInt(operation).putInt(1).putInt(0).putInt(argument);
        write(channel, channel.packet(IN_BAND, 1, transaction++, new byte[0], data.array()));
    }

    /** Gives the devices that are open something to do, and takes what comes. */
    void work() {
        List<Integer> ids = new ArrayList<>(open.keySet());
        if (ids.isEmpty()) {
            return;
        }
        int id = ids.get(random.nextInt(ids.size()));
        OpenChannel channel = open.get(id);
        Offer offer = offers.get(id);
        if (channel == null || offer == null) {
            return;
        }
        if (offer.device == STORAGE) {
            execute(channel);
        } else if (random.nextInt(8) == 0 && offer.subchannel == 0) {
            control(channel, 4, random.nextBoolean() ? 0x10114 : 0x10101, 0, 20, 0);
        } else {
            sendFrame(channel);
        }
        List.copyOf(open.values()).forEach(this::take);
        learn();
    }

    private void sendFrame(OpenChannel channel) {
        int length = 60 + random.nextInt(1400);
        ByteBuffer out = ByteBuffer.allocate(44 + length).order(ByteOrder.LITTLE_ENDIAN);
        out.putInt(1).putInt(44 + length).putInt(36).putInt(length).position(44);
        out.order(ByteOrder.BIG_ENDIAN).putShort((short) (MAC >>> 32)).putInt((int) MAC);
        sendSection(channel, 0, out.array());
        if (offers.containsKey(channel.id) && offers.get(channel.id).subchannel != 0) {
            reach(Reached.FRAME_BY_ADDED_CHANNEL);
        }
    }

    /** Reads or writes a few blocks, sometimes beyond the end. */
    private void execute(OpenChannel channel) {
        boolean write = random.nextBoolean();
        int blocks = 1 + random.nextInt(8);
        int block = random.nextInt(random.nextInt(10) == 0 ? 20_000 : 8000);
        ByteBuffer data = ByteBuffer.allocate(64).order(ByteOrder.LITTLE_ENDIAN);
        data.putInt(3).putInt(1).putInt(0);
        data.putShort((short) 0x34).put((byte) 0).put((byte) 0);
        data.putShort((short) 0).put((byte) 0).put((byte) 0);
        data.put((byte) 10).put((byte) 20).put((byte) (write ? 0 : 1)).put((byte) 0);
        data.putInt(blocks * 512);
        data.put((byte) (write ? 0x2a : 0x28)).put((byte) 0);
        data.order(ByteOrder.BIG_ENDIAN).putInt(block).put((byte) 0).putShort((short) blocks);
        ByteBuffer range = ByteBuffer.allocate(24).order(ByteOrder.LITTLE_ENDIAN);
        range.putInt(0).putInt(1).putInt(blocks * 512).putInt(0).putLong(buffer(2)[random.nextInt(BUFFER_PAGES)]);
        long number = transaction++;
        commands.put(number, write ? 1 : 0);
        write(channel, channel.packet(DIRECT, 1, number, range.array(), data.array()));
    }

    private void take(OpenChannel channel) {
        // A ring that the hostile part has spoiled is not to be believed.
        for (int i = 0; i < 64; i++) {
            Received packet;
            try {
                packet = channel.receive();
            } catch (AssertionError | RuntimeException e) {
                open.remove(channel.id);
                return;
            }
            if (packet == null) {
                return;
            }
            count(channel, packet);
        }
    }

    private void count(OpenChannel channel, Received packet) {
        ByteBuffer data = packet.data();
        if (packet.type() == TRANSFER_PAGES) {
            boolean frame = data.limit() >= 8 && data.getInt(4) == 0;
            reach(frame ? Reached.FRAME_RECEIVED : Reached.NETWORK_CONTROLLED);
            byte[] taken = {108, 0, 0, 0, 1, 0, 0, 0};
            if (channel.write(channel.packet(COMPLETION, 0, packet.transaction(), new byte[0], taken))) {
                guest.bus.signal(0x2000 | channel.id, 0);
            }
        } else if (packet.type() == COMPLETION && data.limit() >= 8) {
            Integer command = commands.remove(packet.transaction());
            if (command != null && data.limit() >= 19) {
                boolean good = data.get(14) == 1 && data.get(15) == 0;
                reach(!good ? Reached.DISK_REFUSED : command == 1 ? Reached.DISK_WRITTEN : Reached.DISK_READ);
            } else if (data.getInt(0) == 108 && data.getInt(4) == 1) {
                reach(Reached.FRAME_SENT);
            }
        }
    }
}
