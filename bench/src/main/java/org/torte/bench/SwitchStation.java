package org.torte.bench;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_LONG_UNALIGNED;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.LongAdder;
import org.torte.base.net.FrameBatch;
import org.torte.base.net.MacAddress;
import org.torte.base.net.NetworkAdapter;
import org.torte.base.net.NetworkPort;
import org.torte.network.process.SwitchLink;
import org.torte.network.process.SwitchStarter;

/**
 * What a worker is to the switch process, without a machine: an adapter at a {@link SwitchLink}, which sends, takes, echoes or
 * pings as {@code bench/packets.c} does. A line on its input is answered by one: frames, and for pings the 50th and 99th
 * percentile since the last line in nanoseconds.
 */
final class SwitchStation implements NetworkAdapter {
    static final int BATCH = 64, BYTES = 512 << 10;
    private static final int SAMPLES = 1 << 20;

    private final NetworkPort port;
    private final MacAddress address;
    private final boolean echoes;
    private final Semaphore room = new Semaphore(0);
    private final Semaphore arrived = new Semaphore(0);
    private final FrameBatch answers = new FrameBatch(BATCH, BYTES);
    /** Where a guest's memory would be. */
    private final MemorySegment guest = Arena.global().allocate(BYTES + FrameBatch.MAX_LENGTH, 64);

    private final LongAdder frames = new LongAdder();
    private volatile boolean watched;
    private final int[] samples = new int[SAMPLES];
    private int taken;

    SwitchStation(NetworkPort port, MacAddress address, boolean echoes, boolean watched) {
        this.port = port;
        this.address = address;
        this.echoes = echoes;
        this.watched = watched;
    }

    /** Arguments: the folder of the switches, the port's id, its address, what to do, and to whom, length and segment size. */
    public static void main(String[] arguments) throws Exception {
        SwitchLink link = SwitchLink.open(new SwitchStarter(Path.of(arguments[0]), List.of()), arguments[1]);
        String what = arguments[3];
        SwitchStation station =
                new SwitchStation(link, MacAddress.parse(arguments[2]), what.equals("echo"), what.equals("ping"));
        link.plug(station);
        while (!link.link().up()) {
            Thread.sleep(10);
        }
        if (arguments.length > 4) {
            FrameBatch batch = batch(
                    station.address,
                    MacAddress.parse(arguments[4]),
                    what.equals("ping") ? 1 : BATCH,
                    Integer.parseInt(arguments[5]),
                    Integer.parseInt(arguments[6]));
            Thread _ = Thread.ofPlatform().daemon().start(() -> station.work(what, batch));
        }
        BufferedReader asked = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        while (asked.readLine() != null) {
            System.out.println(station.report());
        }
        link.close();
    }

    /** As many frames as go into a batch, at most {@code most}; with a segment size they are large sends of TCP over IPv4. */
    static FrameBatch batch(MacAddress from, MacAddress to, int most, int length, int segment) {
        FrameBatch batch = new FrameBatch(most, BYTES);
        while (batch.size() < most && batch.hasRoom(length)) {
            int at = batch.append(length);
            MemorySegment bytes = batch.bytes().asSlice(at, length).fill((byte) 0);
            ethernet(bytes, to, from);
            bytes.set(JAVA_BYTE, 12, (byte) (segment > 0 ? 0x08 : 0x88));
            bytes.set(JAVA_BYTE, 13, (byte) (segment > 0 ? 0x00 : 0xb5));
            if (segment > 0) {
                bytes.set(JAVA_BYTE, 14, (byte) 0x45);
                bytes.set(JAVA_BYTE, 16, (byte) (length - 14 >> 8));
                bytes.set(JAVA_BYTE, 17, (byte) (length - 14));
                bytes.set(JAVA_BYTE, 23, (byte) 6);
                bytes.set(JAVA_BYTE, 46, (byte) 0x50);
            }
            int flags = segment > 0 ? FrameBatch.IP_CHECKSUM_NEEDED | FrameBatch.TRANSPORT_CHECKSUM_NEEDED : 0;
            batch.describe(batch.size() - 1, flags, segment, FrameBatch.NO_VLAN);
        }
        return batch;
    }

    private static void ethernet(MemorySegment frame, MacAddress to, MacAddress from) {
        for (int i = 0; i < 6; i++) {
            frame.set(JAVA_BYTE, i, (byte) (to.value() >> 40 - 8 * i));
            frame.set(JAVA_BYTE, 6 + i, (byte) (from.value() >> 40 - 8 * i));
        }
    }

    /** Sends, or pings, until the process ends. */
    void work(String what, FrameBatch batch) {
        while (true) {
            if (what.equals("ping")) {
                ping(batch);
            } else {
                send(batch);
                frames.add(batch.size());
            }
        }
    }

    private void send(FrameBatch batch) {
        int at = 0;
        while (at < batch.size()) {
            int drained = room.drainPermits();
            at += port.send(batch, at);
            if (at < batch.size() && drained == 0) {
                room.acquireUninterruptibly();
            }
        }
    }

    /** One that is not answered, because the other station is not there yet, does not count. */
    private void ping(FrameBatch batch) {
        int _ = arrived.drainPermits();
        long began = System.nanoTime();
        send(batch);
        try {
            if (!arrived.tryAcquire(1, TimeUnit.SECONDS)) {
                return;
            }
        } catch (InterruptedException e) {
            throw new AssertionError(e);
        }
        synchronized (samples) {
            samples[taken++ % SAMPLES] = (int) (System.nanoTime() - began);
        }
        frames.increment();
    }

    /** Frames until now, and of pings since the last time the percentiles. */
    String report() {
        synchronized (samples) {
            int count = Math.min(taken, SAMPLES);
            int[] sorted = Arrays.copyOf(samples, count);
            Arrays.sort(sorted);
            taken = 0;
            return frames.sum() + " "
                    + (count == 0 ? "0 0" : sorted[count / 2] + " " + sorted[(int) (count * 99L / 100)]);
        }
    }

    long frames() {
        return frames.sum();
    }

    @Override
    public MacAddress address() {
        return address;
    }

    /** Copies what comes, as an adapter does into its guest's memory. */
    @Override
    public int receive(FrameBatch batch, int first) {
        long at = 0;
        answers.clear();
        for (int i = first; i < batch.size(); i++) {
            int length = batch.length(i);
            MemorySegment.copy(batch.bytes(), batch.offset(i), guest, at, length);
            at = at + length + 63 & -64L;
            if (at > BYTES) {
                at = 0;
            }
            if (echoes && answers.append(batch, i)) {
                MemorySegment answer = answers.bytes().asSlice(answers.offset(answers.size() - 1), length);
                long source = answer.get(JAVA_LONG_UNALIGNED.withOrder(ByteOrder.BIG_ENDIAN), 4) & 0xffff_ffff_ffffL;
                ethernet(answer, new MacAddress(source), address);
            }
        }
        if (echoes) {
            int _ = port.send(answers, 0);
        }
        if (watched) {
            arrived.release();
        } else {
            frames.add(batch.size() - first);
        }
        return batch.size() - first;
    }

    @Override
    public void linkChanged() {}

    @Override
    public void roomAvailable() {
        room.release();
    }
}
