package org.torte.network.process;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.net.ConnectException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;
import org.torte.network.NetworkException;
import org.torte.network.posix.Bell;
import org.torte.network.posix.SharedMemory;
import org.torte.network.posix.UnixSocket;
import org.torte.network.ring.Ring;
import org.torte.network.ring.RingReader;
import org.torte.network.ring.RingWriter;

/** A machine's side of its connection to the switch process. */
final class PortConnection implements AutoCloseable {
    private static final Duration LIMIT = Duration.ofSeconds(5);
    private static final int LONGEST = 64 << 10;

    final UnixSocket socket;
    final Messages messages;
    /** Wakes the switch's side, and by it this one. */
    final Bell bell;

    final RingReader in;
    final RingWriter out;
    private final SharedMemory memory;

    /** The other end has not kept to the rules. */
    volatile boolean broken;

    private PortConnection(UnixSocket socket, Messages messages, SharedMemory memory, Bell bell) {
        this.socket = socket;
        this.messages = messages;
        this.memory = memory;
        this.bell = bell;
        MemorySegment whole = memory.segment();
        out = new RingWriter(whole.asSlice(0, Ring.SIZE));
        in = new RingReader(whole.asSlice(Ring.SIZE, Ring.SIZE));
    }

    /**
     * Connects to a port.
     *
     * @param unwanted whether to give that up
     * @throws ConnectException when nobody listens
     * @throws IOException when who is there says something else, or nothing
     */
    static PortConnection open(Path path, String id, BooleanSupplier unwanted) throws IOException {
        UnixSocket socket = UnixSocket.connect(path);
        Messages.Said answer = null;
        try {
            Messages messages = new Messages(socket, LONGEST);
            SwitchClient.greeted(messages, unwanted);
            messages.say(Map.of("id", 1, "method", "connect", "port", id));
            answer = messages.await(LIMIT, unwanted);
            PortConnection made = of(socket, messages, answer);
            socket = null;
            answer = null;
            return made;
        } catch (NetworkException e) {
            throw new IOException(e.getMessage(), e);
        } finally {
            release(socket, answer);
        }
    }

    private static void release(@Nullable UnixSocket socket, Messages.@Nullable Said answer) {
        if (answer != null) {
            answer.discard();
        }
        if (socket != null) {
            socket.close();
        }
    }

    /** The socket and the descriptors belong to the result, if there is one. */
    private static PortConnection of(UnixSocket socket, Messages messages, Messages.Said answer) throws IOException {
        JsonFields fields = JsonFields.parse(answer.text(), "the answer of the switch process");
        if (fields.values().containsKey("error")) {
            throw new IOException(fields.string("error"));
        }
        int[] descriptors = answer.descriptors();
        if (descriptors.length != 2) {
            throw new IOException("the switch process gives " + descriptors.length + " descriptors, not two");
        }
        SharedMemory memory = SharedMemory.open(descriptors[0], PortSession.MEMORY);
        return new PortConnection(socket, messages, memory, new Bell(descriptors[1]));
    }

    /** Gives everything back; nobody may be using it. */
    @Override
    public void close() {
        socket.close();
        memory.close();
        bell.close();
    }
}
