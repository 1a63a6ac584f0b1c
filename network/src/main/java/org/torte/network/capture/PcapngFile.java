package org.torte.network.capture;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Optional;
import java.util.Set;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;
import org.torte.base.net.FrameBatch;
import org.torte.base.net.MacAddress;
import org.torte.network.FrameTap;

/**
 * A capture in the pcapng format (IETF draft-ietf-opsawg-pcapng): one section, one Ethernet interface, times in
 * nanoseconds, the direction of each frame as its adapter sees it. A VLAN tag that travels beside a frame is put into it. A
 * large send is one long frame, and checksums that are still to be computed are as they are, as in captures on other hosts.
 *
 * <p>Frames are copied into one of two buffers, and a thread writes the other: whoever sends them never waits for the disk.
 * What finds no room is dropped and counted, and the statistics at the end of the file say so. Safe for several threads.
 */
public final class PcapngFile implements FrameTap, AutoCloseable {
    /** The most bytes of a frame that can be kept, a VLAN tag included. */
    public static final int MAX_LENGTH = FrameBatch.MAX_LENGTH + 4;

    /** Bytes of each of the two buffers. */
    static final int BUFFER = 4 << 20;

    private static final int SECTION = 0x0a0d_0d0a, INTERFACE = 1, STATISTICS = 5, PACKET = 6;
    private static final int BYTE_ORDER_MAGIC = 0x1a2b_3c4d, ETHERNET = 1;
    private static final int NAME_OPTION = 2, RESOLUTION_OPTION = 9, APPLICATION_OPTION = 4;
    private static final int FLAGS_OPTION = 2, RECEIVED_OPTION = 4, DROPPED_OPTION = 5;
    private static final int INBOUND = 1, OUTBOUND = 2, NANOSECONDS = 9;

    /** A packet block without its data: type, length, interface, time, lengths, the option of flags, the end, length. */
    private static final int PACKET_BYTES = 8 + 20 + 8 + 4 + 4;

    /** What a buffer keeps free for the statistics: their block is 8 + 12 + 2 * 12 + 4 + 4 bytes long. */
    private static final int RESERVED = 64;

    private static final int ADDRESSES = 2 * MacAddress.LENGTH, TAG = 4, TAG_TYPE = 0x8100;

    private final FileChannel channel;
    private final int length;
    private final LongSupplier time;
    private final Thread writer;

    // All of this is guarded by this object's lock.
    private ByteBuffer filling = buffer();
    private ByteBuffer written = buffer();
    private boolean closed;
    private long frames;
    private long dropped;
    /** Of the frames that have been kept, those in the buffer that is filled, and those in the one that is written. */
    private int inFilling;

    private int inWritten;
    private @Nullable String failure;

    /** A capture that is written to a channel, which it closes. */
    PcapngFile(FileChannel channel, String name, int length, LongSupplier time) {
        this.channel = channel;
        this.length = length;
        this.time = time;
        head(name);
        writer = Thread.ofVirtual().name("capture").start(this::write);
    }

    /**
     * Begins a capture in a new file that only its owner may read.
     *
     * @param name of the interface, for those who read it
     * @param length the most bytes of each frame that are kept, 1 to {@link #MAX_LENGTH}
     * @param time nanoseconds since 1970, which may be asked for by any thread
     * @throws IOException when the file cannot be made
     */
    public static PcapngFile create(Path file, String name, int length, LongSupplier time) throws IOException {
        if (length < 1 || length > MAX_LENGTH) {
            throw new IllegalArgumentException("frames of " + length + " bytes");
        }
        FileChannel channel = FileChannel.open(
                file,
                Set.of(StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE),
                PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------")));
        return new PcapngFile(channel, name, length, time);
    }

    private static ByteBuffer buffer() {
        return ByteBuffer.allocateDirect(BUFFER).order(ByteOrder.LITTLE_ENDIAN);
    }

    private void head(String name) {
        int at = begin(SECTION);
        filling.putInt(BYTE_ORDER_MAGIC).putShort((short) 1).putShort((short) 0).putLong(-1);
        option(APPLICATION_OPTION, "Torte");
        end(at);
        at = begin(INTERFACE);
        filling.putShort((short) ETHERNET).putShort((short) 0).putInt(length);
        option(NAME_OPTION, name);
        filling.putShort((short) RESOLUTION_OPTION).putShort((short) 1).putInt(NANOSECONDS);
        end(at);
    }

    private int begin(int type) {
        int at = filling.position();
        filling.putInt(type).putInt(0);
        return at;
    }

    private void option(int code, String text) {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        int kept = Math.min(bytes.length, 255);
        filling.putShort((short) code).putShort((short) kept).put(bytes, 0, kept);
        pad();
    }

    private void pad() {
        while ((filling.position() & 3) != 0) {
            filling.put((byte) 0);
        }
    }

    /** Ends the options and the block. */
    private void end(int at) {
        filling.putInt(0);
        int size = filling.position() + 4 - at;
        filling.putInt(size).putInt(at + 4, size);
    }

    @Override
    public void frame(FrameBatch batch, int frame, boolean sent, int vlan) {
        int bytes = batch.length(frame);
        boolean tagged = vlan != FrameBatch.NO_VLAN && bytes >= ADDRESSES;
        int original = bytes + (tagged ? TAG : 0);
        int kept = Math.min(original, length);
        long now = time.getAsLong();
        synchronized (this) {
            if (closed || failure != null || filling.remaining() < PACKET_BYTES + kept + 3 + RESERVED) {
                dropped++;
                return;
            }
            frames++;
            inFilling++;
            int at = begin(PACKET);
            filling.putInt(0)
                    .putInt((int) (now >>> 32))
                    .putInt((int) now)
                    .putInt(kept)
                    .putInt(original);
            int from = batch.offset(frame);
            if (tagged) {
                int addresses = Math.min(kept, ADDRESSES);
                put(batch, from, addresses);
                for (int i = 0; i < Math.min(kept - addresses, TAG); i++) {
                    filling.put((byte) ((TAG_TYPE << 16 | vlan) >>> 24 - 8 * i));
                }
                put(batch, from + addresses, Math.max(kept - ADDRESSES - TAG, 0));
            } else {
                put(batch, from, kept);
            }
            pad();
            filling.putShort((short) FLAGS_OPTION).putShort((short) 4).putInt(sent ? OUTBOUND : INBOUND);
            end(at);
            notifyAll();
        }
    }

    private void put(FrameBatch batch, int from, int count) {
        MemorySegment.copy(batch.bytes(), from, MemorySegment.ofBuffer(filling), 0, count);
        filling.position(filling.position() + count);
    }

    /** Writes what there is until the end. */
    private void write() {
        try (channel) {
            for (ByteBuffer filled = swap(); filled != null; filled = swap()) {
                while (filled.hasRemaining()) {
                    channel.write(filled);
                }
                isWritten();
            }
        } catch (IOException e) {
            fail(String.valueOf(e.getMessage()));
        }
    }

    /** Takes the buffer that has been filled, and gives the other one to be; null when all is written. */
    private synchronized @Nullable ByteBuffer swap() {
        while (filling.position() == 0 && !closed) {
            try {
                wait();
            } catch (InterruptedException e) {
                return null;
            }
        }
        if (filling.position() == 0) {
            return null;
        }
        ByteBuffer filled = filling;
        filling = written.clear();
        written = filled;
        inWritten = inFilling;
        inFilling = 0;
        return filled.flip();
    }

    private synchronized void isWritten() {
        inWritten = 0;
    }

    /** What is in the buffers is not in the file, or not surely. */
    private synchronized void fail(String message) {
        failure = message;
        int lost = inFilling + inWritten;
        frames -= lost;
        dropped += lost;
    }

    /** Frames that have been kept. */
    public synchronized long frames() {
        return frames;
    }

    /** Frames that found no room, because the disk was too slow or has failed. */
    public synchronized long dropped() {
        return dropped;
    }

    /** Why nothing more is written, or nothing. */
    public synchronized Optional<String> failure() {
        return Optional.ofNullable(failure);
    }

    /** Writes the rest and the statistics; frames that come later are dropped. */
    @Override
    public void close() {
        synchronized (this) {
            if (closed) {
                return;
            }
            closed = true;
            long now = time.getAsLong();
            int at = begin(STATISTICS);
            filling.putInt(0).putInt((int) (now >>> 32)).putInt((int) now);
            filling.putShort((short) RECEIVED_OPTION).putShort((short) 8).putLong(frames + dropped);
            filling.putShort((short) DROPPED_OPTION).putShort((short) 8).putLong(dropped);
            end(at);
            notifyAll();
        }
        boolean interrupted = false;
        while (writer.isAlive()) {
            try {
                writer.join();
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }
}
