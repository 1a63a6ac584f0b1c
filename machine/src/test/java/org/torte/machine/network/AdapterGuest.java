package org.torte.machine.network;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import org.torte.machine.vmbus.Packet;
import org.torte.machine.vmbus.TestGuest;
import org.torte.machine.vmbus.TestGuest.OpenChannel;
import org.torte.machine.vmbus.TestGuest.Received;

/** The guest's driver of an adapter: what Linux's hv_netvsc does, without a processor. */
final class AdapterGuest {
    static final int RECEIVE_PAGES = 64, SEND_PAGES = 16, RECEIVE_HANDLE = 0x700, SEND_HANDLE = 0x701;
    private static final int PAGE = 4096;

    final TestGuest guest;
    final OpenChannel channel;
    final long[] receivePages;
    final long[] sendPages;
    /** Frames that have come, and what they said about checksums and VLANs: -1 for nothing. */
    final List<byte[]> frames = new ArrayList<>();

    final List<Integer> checksums = new ArrayList<>();
    final List<Integer> vlans = new ArrayList<>();
    /** RNDIS answers that have come. */
    final List<ByteBuffer> answers = new ArrayList<>();
    /** Messages of NVSP's own that have come. */
    final List<ByteBuffer> inBand = new ArrayList<>();
    /** RNDIS statuses that have come. */
    final List<Integer> statuses = new ArrayList<>();
    /** Whether packets are completed at once. */
    boolean completes = true;

    final List<Long> uncompleted = new ArrayList<>();
    int placeSize;
    int places;
    int completions;
    private byte[] whole = {};
    private int request;
    private long transaction = 1000;

    AdapterGuest(TestGuest guest, int ringPages) {
        this.guest = guest;
        guest.connect(TestGuest.NEWEST);
        int id = guest.offers().getFirst();
        receivePages = guest.pages(RECEIVE_PAGES, true);
        sendPages = guest.pages(SEND_PAGES, true);
        channel = guest.open(id, ringPages);
        assertThat(guest.createGpadl(id, RECEIVE_HANDLE, RECEIVE_PAGES * PAGE, 0, receivePages))
                .isTrue();
        assertThat(guest.createGpadl(id, SEND_HANDLE, SEND_PAGES * PAGE, 0, sendPages))
                .isTrue();
    }

    /** Does all that a driver does until frames may come. */
    AdapterGuest initialize(int version) {
        assertThat(nvsp(Nvsp.INIT, version, version).getInt(12)).isEqualTo(Nvsp.SUCCESS);
        send(0, message(Nvsp.NDIS_CONFIGURATION, 1514, 0, 8, 0));
        send(0, message(Nvsp.NDIS_VERSION, 6, 30));
        ByteBuffer receive = nvsp(Nvsp.RECEIVE_BUFFER, RECEIVE_HANDLE, 0xcafe);
        assertThat(receive.getInt(4)).isEqualTo(Nvsp.SUCCESS);
        assertThat(receive.getInt(8)).isEqualTo(1);
        placeSize = receive.getInt(16);
        places = receive.getInt(20);
        assertThat(placeSize * places).isLessThanOrEqualTo(RECEIVE_PAGES * PAGE);
        ByteBuffer sendBuffer = nvsp(Nvsp.SEND_BUFFER, SEND_HANDLE, 0);
        assertThat(sendBuffer.getInt(4)).isEqualTo(Nvsp.SUCCESS);
        assertThat(sendBuffer.getInt(8)).isEqualTo(SyntheticAdapter.SECTION);
        assertThat(control(Rndis.INITIALIZE, 1, 0, 0x4000).getInt(12)).isZero();
        assertThat(statuses).containsExactly(Rndis.MEDIA_CONNECT);
        statuses.clear();
        return this;
    }

    /** Sets which frames are wanted. */
    void setFilter(int filter) {
        assertThat(set(Oid.CURRENT_PACKET_FILTER, ints(filter))).isZero();
    }

    static byte[] ints(int... values) {
        ByteBuffer out = ByteBuffer.allocate(4 * values.length).order(ByteOrder.LITTLE_ENDIAN);
        for (int value : values) {
            out.putInt(value);
        }
        return out.array();
    }

    private static byte[] message(int type, int... values) {
        byte[] rest = ints(values);
        return ByteBuffer.allocate(Nvsp.LENGTH)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putInt(type)
                .put(rest)
                .array();
    }

    /** Sends a message that is answered in its completion. */
    ByteBuffer nvsp(int type, int... values) {
        long number = transaction++;
        send(number, message(type, values));
        return completion(number).orElseThrow();
    }

    void send(long number, byte[] data) {
        write(channel.packet(Packet.IN_BAND, number == 0 ? 0 : 1, number, new byte[0], data));
    }

    void write(byte[] packet) {
        assertThat(channel.write(packet)).as("room in the ring").isTrue();
        channel.signal();
    }

    /** Takes packets until the completion of one. */
    Optional<ByteBuffer> completion(long number) {
        return completion(channel, number);
    }

    private Optional<ByteBuffer> completion(OpenChannel from, long number) {
        for (Received packet = from.receive(); packet != null; packet = from.receive()) {
            if (packet.type() == Packet.COMPLETION && packet.transaction() == number) {
                completions++;
                return Optional.of(packet.data());
            }
            take(from, packet);
        }
        return Optional.empty();
    }

    /** Takes all packets that have come by a further channel; how many frames there were. */
    int takeAll(OpenChannel from) {
        int before = frames.size();
        assertThat(completion(from, -1)).isEmpty();
        return frames.size() - before;
    }

    /** Asks for further channels, of which there are so many, and opens them. */
    List<OpenChannel> openFurther(int wanted, int given) {
        guest.messages.clear();
        ByteBuffer answer = nvsp(Nvsp.SUBCHANNELS, Nvsp.ALLOCATE, wanted);
        assertThat(answer.getInt(4)).isEqualTo(Nvsp.SUCCESS);
        assertThat(answer.getInt(8)).isEqualTo(given);
        List<Integer> numbers = new ArrayList<>();
        for (int i = 1; i <= given; i++) {
            ByteBuffer offer = guest.expect(1);
            assertThat(offer.getShort(180)).isEqualTo((short) i);
            numbers.add(offer.getInt(184));
        }
        return numbers.stream().map(number -> guest.open(number, 16)).toList();
    }

    /** Takes all packets that have come. */
    void takeAll() {
        assertThat(completion(-1)).isEmpty();
    }

    private void take(OpenChannel from, Received packet) {
        if (packet.type() == Packet.COMPLETION) {
            completions++;
            return;
        }
        if (packet.type() == Packet.IN_BAND) {
            inBand.add(packet.data());
            return;
        }
        assertThat(packet.type()).isEqualTo(Packet.TRANSFER_PAGES);
        for (ByteBuffer message : channel.transferRanges(packet, receivePages)) {
            assertThat(message.limit()).isLessThanOrEqualTo(placeSize);
            assertThat(message.getInt(4)).isEqualTo(message.limit());
            if (message.getInt(0) == Rndis.PACKET) {
                takeFrame(message);
            } else if (message.getInt(0) == Rndis.STATUS) {
                statuses.add(message.getInt(8));
            } else {
                answers.add(message);
            }
        }
        if (completes) {
            complete(from, packet.transaction());
        } else {
            uncompleted.add(packet.transaction());
        }
    }

    void complete(long number) {
        complete(channel, number);
    }

    void complete(OpenChannel to, long number) {
        byte[] taken = ints(Nvsp.RNDIS_COMPLETE, Nvsp.SUCCESS);
        to.write(to.packet(Packet.COMPLETION, 0, number, new byte[0], taken));
        to.signal();
    }

    private void takeFrame(ByteBuffer message) {
        byte[] data = new byte[message.getInt(Rndis.DATA_LENGTH_AT)];
        message.get(8 + message.getInt(Rndis.DATA_OFFSET_AT), data);
        int checksum = -1;
        int vlan = -1;
        int piece = 7;
        int at = 8 + message.getInt(Rndis.INFORMATION_OFFSET_AT);
        int end = at + message.getInt(Rndis.INFORMATION_LENGTH_AT);
        for (; at < end; at += message.getInt(at)) {
            int value = message.getInt(at + message.getInt(at + 8));
            switch (message.getInt(at + 4)) {
                case Rndis.CHECKSUM_INFORMATION -> checksum = value;
                case Rndis.VLAN_INFORMATION -> vlan = value;
                case Rndis.PIECE_INFORMATION -> piece = value >>> 8 & 0xff;
                default -> throw new AssertionError("information " + message.getInt(at + 4));
            }
        }
        if ((piece & 2) != 0) {
            checksums.add(checksum);
            vlans.add(vlan);
            whole = new byte[0];
        }
        byte[] longer = java.util.Arrays.copyOf(whole, whole.length + data.length);
        System.arraycopy(data, 0, longer, whole.length, data.length);
        whole = longer;
        if ((piece & 4) != 0) {
            frames.add(whole);
        }
    }

    /** Sends a control message of 4-byte values after the request's number; gives its answer. */
    ByteBuffer control(int type, int... values) {
        ByteBuffer out = ByteBuffer.allocate(12 + 4 * values.length).order(ByteOrder.LITTLE_ENDIAN);
        out.putInt(type).putInt(out.capacity()).putInt(++request).put(ints(values));
        return exchange(out.array());
    }

    int set(int object, byte[] value) {
        ByteBuffer out = ByteBuffer.allocate(28 + value.length).order(ByteOrder.LITTLE_ENDIAN);
        out.putInt(Rndis.SET).putInt(out.capacity()).putInt(++request).putInt(object);
        out.putInt(value.length).putInt(20).putInt(0).put(value);
        return exchange(out.array()).getInt(12);
    }

    /** The value of an object, which must be there. */
    ByteBuffer query(int object) {
        ByteBuffer answer = control(Rndis.QUERY, object, 0, 20, 0);
        assertThat(answer.getInt(12)).as("object %x", object).isZero();
        int length = answer.getInt(16);
        return answer.slice(8 + answer.getInt(20), length).order(ByteOrder.LITTLE_ENDIAN);
    }

    private ByteBuffer exchange(byte[] message) {
        int before = answers.size();
        putSection(0, message);
        rndis(Nvsp.CONTROL, 0, message.length);
        takeAll();
        assertThat(answers).hasSize(before + 1);
        ByteBuffer answer = Objects.requireNonNull(answers.removeLast());
        assertThat(answer.getInt(0))
                .isEqualTo(
                        ByteBuffer.wrap(message).order(ByteOrder.LITTLE_ENDIAN).getInt(0) | Rndis.ANSWER);
        assertThat(answer.getInt(8)).isEqualTo(request);
        return answer;
    }

    void putSection(int section, byte[] bytes) {
        for (int i = 0; i < bytes.length; i++) {
            int at = section * SyntheticAdapter.SECTION + i;
            guest.memory.putByte(sendPages[at / PAGE] * PAGE + at % PAGE, bytes[i]);
        }
    }

    /** Sends an RNDIS message that lies in the send buffer. */
    void rndis(int kind, int section, int size) {
        send(transaction++, message(Nvsp.RNDIS, kind, section, size));
    }

    /** Sends a data message that lies in the send buffer by a further channel. */
    void rndisBy(OpenChannel by, int section, int size) {
        byte[] data = message(Nvsp.RNDIS, Nvsp.DATA, section, size);
        assertThat(by.write(by.packet(Packet.IN_BAND, 1, transaction++, new byte[0], data)))
                .isTrue();
        by.signal();
    }

    /** Sends RNDIS messages by the addresses of their pages. */
    void rndisDirect(byte[] bytes) {
        long[] pages = guest.pages((bytes.length + PAGE - 1) / PAGE, true);
        ByteBuffer ranges = ByteBuffer.allocate(16 + 8 * pages.length).order(ByteOrder.LITTLE_ENDIAN);
        ranges.putInt(0).putInt(1).putInt(bytes.length).putInt(0);
        for (int i = 0; i < pages.length; i++) {
            ranges.putLong(pages[i]);
            int part = Math.min(PAGE, bytes.length - i * PAGE);
            guest.memory.write(pages[i] * PAGE, bytes, i * PAGE, part);
        }
        write(channel.packet(
                Packet.GPA_DIRECT,
                1,
                transaction++,
                ranges.array(),
                message(Nvsp.RNDIS, Nvsp.DATA, Nvsp.NO_SECTION, 0)));
    }

    /** A data message with per-packet information: kind and value in turn. */
    static byte[] dataMessage(byte[] frame, int... information) {
        int length = 8 * information.length;
        ByteBuffer out = ByteBuffer.allocate(44 + length + frame.length).order(ByteOrder.LITTLE_ENDIAN);
        out.putInt(Rndis.PACKET).putInt(out.capacity());
        out.putInt(36 + length).putInt(frame.length).putInt(0).putInt(0).putInt(0);
        out.putInt(length == 0 ? 0 : 36).putInt(length).putInt(0).putInt(0);
        for (int i = 0; i < information.length; i += 2) {
            out.putInt(16).putInt(information[i]).putInt(12).putInt(information[i + 1]);
        }
        return out.put(frame).array();
    }
}
