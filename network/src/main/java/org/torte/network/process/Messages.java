package org.torte.network.process;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Arrays;
import java.util.Map;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;
import org.torte.network.posix.PollSet;
import org.torte.network.posix.Posix;
import org.torte.network.posix.UnixSocket;

/** Texts over a socket that keeps messages apart, in pieces where they are long. For one thread. */
final class Messages {
    static final String PROTOCOL = "torte-switch";
    static final int VERSION = 2;

    /** The longest text of an answer. */
    static final int LONGEST = 16 << 20;

    private static final byte LAST = 0, MORE = 1;

    /** How long the other end may take to read. */
    private static final Duration PATIENCE = Duration.ofSeconds(5);

    /** How long until somebody who waits looks whether he still is to. */
    private static final int LOOK_MILLIS = 100;

    private final UnixSocket socket;
    private final int longest;
    private final ByteArrayOutputStream text = new ByteArrayOutputStream();

    /**
     * Talks over a socket.
     *
     * @param longest of what is received, in bytes
     */
    Messages(UnixSocket socket, int longest) {
        this.socket = socket;
        this.longest = longest;
    }

    /**
     * Something that was said.
     *
     * @param descriptors they belong to the receiver
     */
    @SuppressWarnings("ArrayRecordComponent") // handed on once, never compared
    record Said(String text, int[] descriptors) {
        void discard() {
            for (int descriptor : descriptors) {
                Posix.close(descriptor);
            }
        }
    }

    /**
     * Says something.
     *
     * @throws IOException when the other end has gone, or does not read
     */
    void say(Map<String, ?> what, int... descriptors) throws IOException {
        byte[] bytes = JsonFields.write(what).getBytes(StandardCharsets.UTF_8);
        int most = UnixSocket.MAX_MESSAGE - 1;
        for (int at = 0; at < bytes.length; at += most) {
            int length = Math.min(most, bytes.length - at);
            byte[] piece = new byte[1 + length];
            boolean last = at + length == bytes.length;
            piece[0] = last ? LAST : MORE;
            System.arraycopy(bytes, at, piece, 1, length);
            send(piece, last ? descriptors : new int[0]);
        }
    }

    private void send(byte[] piece, int[] descriptors) throws IOException {
        if (socket.send(piece, descriptors)) {
            return;
        }
        long until = System.nanoTime() + PATIENCE.toNanos();
        try (Arena arena = Arena.ofConfined()) {
            PollSet polls = new PollSet(arena, socket.fd());
            polls.want(0, Posix.POLLOUT);
            while (!socket.send(piece, descriptors)) {
                long left = until - System.nanoTime();
                if (left <= 0) {
                    throw new IOException("the other end does not read what it is told");
                }
                polls.await((int) (left / 1_000_000) + 1);
            }
        }
    }

    /**
     * Takes what has come.
     *
     * @return null when there is no whole text yet
     * @throws IOException when the other end has gone, or says too much
     */
    @Nullable
    Said hear() throws IOException {
        for (UnixSocket.Message message = socket.receive(); message != null; message = socket.receive()) {
            byte[] bytes = message.bytes();
            if (bytes[0] == MORE) {
                message.discard();
                if (bytes.length == 1) {
                    throw new IOException("the other end says nothing, and goes on with it");
                }
            }
            text.writeBytes(Arrays.copyOfRange(bytes, 1, bytes.length));
            if (text.size() > longest) {
                message.discard();
                throw new IOException("the other end says more than " + longest + " bytes at once");
            }
            if (bytes[0] != MORE) {
                String whole = text.toString(StandardCharsets.UTF_8);
                text.reset();
                return new Said(whole, message.descriptors());
            }
        }
        return null;
    }

    /**
     * Waits for the next text.
     *
     * @throws IOException when it does not come in time
     */
    Said await(Duration limit) throws IOException {
        return await(limit, () -> false);
    }

    /**
     * Waits for the next text, and looks now and then whether that is still wanted.
     *
     * @throws IOException when it does not come in time, or is not wanted any more
     */
    Said await(Duration limit, BooleanSupplier unwanted) throws IOException {
        long until = System.nanoTime() + limit.toNanos();
        try (Arena arena = Arena.ofConfined()) {
            PollSet polls = new PollSet(arena, socket.fd());
            Said said = hear();
            while (said == null) {
                long left = until - System.nanoTime();
                if (left <= 0) {
                    throw new IOException("there was no answer within " + limit.toSeconds() + " s");
                }
                if (unwanted.getAsBoolean()) {
                    throw new IOException("nobody waits for the answer any more");
                }
                polls.await(Math.min((int) (left / 1_000_000) + 1, LOOK_MILLIS));
                said = hear();
            }
            return said;
        }
    }
}
