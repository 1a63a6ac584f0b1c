package org.torte.machine.integration;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayDeque;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.BiConsumer;
import org.jspecify.annotations.Nullable;
import org.torte.base.StateInput;
import org.torte.base.StateOutput;
import org.torte.machine.vmbus.Channel;
import org.torte.machine.vmbus.ChannelOffer;
import org.torte.machine.vmbus.Packet;
import org.torte.machine.vmbus.VmbusDevice;

/**
 * A keyboard (Linux drivers/input/serio/hyperv-keyboard.c, protocol 1.0). The guest asks for a version {type 1, version
 * 4}, gets {type 2, bit 0 accepted 4}, and then keys. Safe for several threads.
 */
public final class Keyboard implements VmbusDevice {
    /** The most strokes that wait for the guest to take them. */
    public static final int MAX_WAITING = 4096;

    private static final ChannelOffer OFFER = new ChannelOffer(
            UUID.fromString("f912ad6d-2b17-48ea-bd65-f927a61c7684"),
            UUID.fromString("d34b2567-b9b6-42b9-8778-0a4ec0b955bf"),
            false);
    private static final int VERSION_REQUEST = 1, VERSION_ANSWER = 2, LIGHTS = 4;
    private static final int VERSION = 1 << 16;
    private static final int STATE_VERSION = 1;

    private final ReentrantLock lock = new ReentrantLock();
    private final ArrayDeque<KeyStroke> waiting = new ArrayDeque<>();
    private @Nullable Channel channel;
    private boolean running;
    private boolean ready;
    /** An answer that found no room: whether the version was accepted. */
    private @Nullable Boolean unanswered;

    private int lights;

    Keyboard() {}

    /** Whether the guest has a driver for it. */
    public boolean isReady() {
        lock.lock();
        try {
            return ready;
        } finally {
            lock.unlock();
        }
    }

    /**
     * Presses and releases keys. Returns at once.
     *
     * @throws ServiceException when the guest has no driver for it, or has too much to read already; nothing is typed
     */
    public void press(List<KeyStroke> strokes) {
        lock.lock();
        try {
            if (!ready) {
                throw new ServiceException(
                        "the guest has no keyboard; it must have started it (Linux: the module hyperv_keyboard)");
            }
            if (waiting.size() + strokes.size() > MAX_WAITING) {
                throw new ServiceException("the guest does not read its keyboard; try again later or type less");
            }
            waiting.addAll(strokes);
            sendWaiting();
        } finally {
            lock.unlock();
        }
    }

    private void sendWaiting() {
        Channel open = channel;
        if (!running || open == null || !ready || unanswered != null) {
            return;
        }
        for (KeyStroke next = waiting.peek(); next != null; next = waiting.peek()) {
            if (!open.sendInBand(0, false, next.message(), KeyStroke.LENGTH)) {
                break;
            }
            waiting.remove();
        }
        open.flush();
    }

    private void answer(Channel open, boolean accepted) {
        byte[] message = ByteBuffer.allocate(8)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putInt(VERSION_ANSWER)
                .putInt(accepted ? 1 : 0)
                .array();
        unanswered = open.sendInBand(0, false, message, message.length) ? null : accepted;
    }

    @Override
    public boolean serve(Channel served) {
        lock.lock();
        try {
            Boolean late = unanswered;
            if (late != null) {
                answer(served, late);
            }
            while (unanswered == null) {
                Packet packet = served.receive();
                if (packet == null) {
                    sendWaiting();
                    return true;
                }
                if (packet.wantsCompletion()) {
                    // A guest that reads none has nothing to wait for.
                    boolean _ = served.sendCompletion(packet.transaction(), new byte[0], 0);
                }
                ByteBuffer data = packet.data();
                if (packet.type() == Packet.IN_BAND && data.remaining() >= 8) {
                    handle(served, data.getInt(), data.getInt());
                }
            }
            return false;
        } finally {
            lock.unlock();
        }
    }

    private void handle(Channel served, int type, int value) {
        if (type == VERSION_REQUEST) {
            ready = value == VERSION;
            answer(served, ready);
        } else if (type == LIGHTS) {
            lights = value & 0xffff;
        }
    }

    @Override
    public ChannelOffer offer() {
        return OFFER;
    }

    @Override
    public void open(Channel opened) {
        lock.lock();
        try {
            channel = opened;
        } finally {
            lock.unlock();
        }
    }

    @Override
    public void close(Channel closed) {
        reset();
    }

    @Override
    public String name() {
        return "keyboard";
    }

    @Override
    public void start() {
        lock.lock();
        try {
            running = true;
            sendWaiting();
        } finally {
            lock.unlock();
        }
    }

    @Override
    public void stop() {
        lock.lock();
        try {
            running = false;
        } finally {
            lock.unlock();
        }
    }

    @Override
    public void reset() {
        lock.lock();
        try {
            channel = null;
            ready = false;
            unanswered = null;
            waiting.clear();
            lights = 0;
        } finally {
            lock.unlock();
        }
    }

    @Override
    public int stateVersion() {
        return STATE_VERSION;
    }

    @Override
    public void save(StateOutput state) {
        lock.lock();
        try {
            state.putBoolean(ready)
                    .putByte(unanswered == null ? 0 : unanswered ? 1 : 2)
                    .putInt(lights)
                    .putInt(waiting.size());
            waiting.forEach(stroke -> state.putInt(stroke.packed()));
        } finally {
            lock.unlock();
        }
    }

    @Override
    public void restore(StateInput state) {
        lock.lock();
        try {
            ready = state.getBoolean();
            int answer = state.getByte();
            lights = state.getInt();
            int count = state.getInt();
            state.check(
                    count >= 0 && count <= MAX_WAITING && answer <= 2 && (channel != null || !ready && answer == 0),
                    count + " strokes, answer " + answer);
            unanswered = answer == 0 ? null : answer == 1;
            waiting.clear();
            for (int i = 0; i < count; i++) {
                int stroke = state.getInt();
                state.check((stroke & 0x7f) != 0, "a stroke of no key");
                waiting.add(KeyStroke.unpack(stroke));
            }
        } finally {
            lock.unlock();
        }
    }

    @Override
    public void inspect(BiConsumer<String, Object> sink) {
        lock.lock();
        try {
            sink.accept("ready", ready);
            sink.accept("waiting", waiting.size());
            sink.accept("lights", lights);
        } finally {
            lock.unlock();
        }
    }
}
