package org.torte.worker;

import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;
import java.util.function.IntConsumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.torte.machine.SerialEndpoint;
import org.torte.machine.SerialPort;

/**
 * The far end of a guest's serial console: types, waits for text, and copies all output to a stream if there is one.
 * Safe for use by several threads, but only one should wait for text at a time, as waiting consumes it.
 *
 * <p>Output that nobody waits for is kept up to {@link #KEPT} bytes, the newest ones.
 */
public final class Console implements AutoCloseable {
    /** How many bytes of output are kept for {@link #waitForText}. */
    public static final int KEPT = 4 << 20;

    /** How many bytes of output are kept for those who come later. */
    public static final int SCROLLBACK = 64 << 10;

    private final SerialPort port;
    private final @Nullable ConsoleOutput copy;
    private final Endpoint endpoint = new Endpoint();
    private final List<IntConsumer> listeners = new CopyOnWriteArrayList<>();

    private final ReentrantLock lock = new ReentrantLock();
    /** Output has come, input is wanted or there, or the console has closed. */
    private final Condition changed = lock.newCondition();

    /** Unread output as characters of one byte each; decoded when it is given out. */
    private final StringBuilder output = new StringBuilder();

    /** The last output, whoever has read it; the next byte goes to {@code printed % SCROLLBACK}. */
    private final byte[] scrollback = new byte[SCROLLBACK];

    private long printed;

    private final ArrayDeque<byte[]> input = new ArrayDeque<>();
    private @Nullable Thread typist;
    /** The port may have room for input. */
    private boolean ready = true;
    /** Bytes of input that the port has taken since the beginning. */
    private long taken;

    private boolean closed;

    /**
     * Connects to a port.
     *
     * @param tee gets a copy of all output, if not null; it may block without blocking the guest for good
     */
    Console(SerialPort port, @Nullable OutputStream tee) {
        this.port = port;
        copy = tee == null ? null : new ConsoleOutput(tee, port::resumeOutput);
        port.attach(endpoint);
    }

    /** Types text, as UTF-8. Returns at once; the guest reads it at its own pace. */
    public void type(String text) {
        type(text.getBytes(StandardCharsets.UTF_8));
    }

    /** Types bytes. Returns at once. */
    public void type(byte[] bytes) {
        lock.lock();
        try {
            if (closed || bytes.length == 0) {
                return;
            }
            input.add(bytes.clone());
            if (typist == null) {
                typist =
                        Thread.ofPlatform().name("torte-console-input").daemon().start(this::feed);
            }
            changed.signalAll();
        } finally {
            lock.unlock();
        }
    }

    /** How many bytes have been typed that the guest has not taken yet. */
    public int pendingInput() {
        lock.lock();
        try {
            int sum = 0;
            for (byte[] bytes : input) {
                sum += bytes.length;
            }
            return sum;
        } finally {
            lock.unlock();
        }
    }

    /**
     * Waits until the guest takes some of what has been typed.
     *
     * @return false when it has not within the time, or the console has closed
     */
    public boolean awaitInputTaken(Duration limit) {
        long deadline = System.nanoTime() + limit.toNanos();
        lock.lock();
        try {
            long before = taken;
            while (taken == before && !closed) {
                long left = deadline - System.nanoTime();
                if (left <= 0) {
                    return false;
                }
                changed.awaitNanos(left);
            }
            return !closed;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return false;
        } finally {
            lock.unlock();
        }
    }

    /** Sends a break condition, with which Linux takes the next byte as a SysRq command. */
    public void sendBreak() {
        port.sendBreak();
    }

    /**
     * Waits until the guest has printed this text.
     *
     * @return all that was printed since the last call, up to and including the text
     * @throws TextNotFoundException when it has not come in time, or the console closes before
     */
    public String waitForText(String text, Duration limit) {
        return waitForText(Pattern.compile(Pattern.quote(text)), limit);
    }

    /**
     * Waits until what the guest has printed since the last call matches the pattern somewhere. Letters beyond ASCII
     * match as the sequences of bytes they are in UTF-8: fine in sequence, not inside brackets.
     *
     * @return all that was printed since the last call, up to the end of the match
     * @throws TextNotFoundException when it does not in time, or the console closes before
     */
    public String waitForText(Pattern pattern, Duration limit) {
        long deadline = System.nanoTime() + limit.toNanos();
        // Output is kept as bytes, so the pattern is taken to bytes too.
        Pattern bytes = Pattern.compile(
                new String(pattern.pattern().getBytes(StandardCharsets.UTF_8), StandardCharsets.ISO_8859_1),
                pattern.flags());
        lock.lock();
        try {
            int seen = -1;
            while (true) {
                if (output.length() != seen) {
                    seen = output.length();
                    Matcher matcher = bytes.matcher(output);
                    if (matcher.find()) {
                        return take(matcher.end());
                    }
                }
                long left = deadline - System.nanoTime();
                if (left <= 0 || closed) {
                    throw new TextNotFoundException(
                            "the guest has not printed " + pattern + (closed ? "" : " within " + limit)
                                    + "; its unread output ends with:\n" + tail(output, 4000));
                }
                try {
                    changed.awaitNanos(left);
                } catch (InterruptedException e) {
                    Thread.currentThread().interrupt();
                    throw new TextNotFoundException("interrupted while waiting for " + pattern);
                }
            }
        } finally {
            lock.unlock();
        }
    }

    /** Takes all unread output without waiting. */
    public String readAvailable() {
        lock.lock();
        try {
            return take(output.length());
        } finally {
            lock.unlock();
        }
    }

    /**
     * Hands the last output to somebody, {@link #SCROLLBACK} bytes at most. Listeners hear nothing meanwhile: the next
     * byte that they are told is the one that follows.
     */
    public void recall(Consumer<byte[]> receiver) {
        lock.lock();
        try {
            byte[] last = new byte[(int) Math.min(printed, SCROLLBACK)];
            int end = (int) (printed % SCROLLBACK);
            int tail = Math.min(end, last.length);
            System.arraycopy(scrollback, SCROLLBACK - (last.length - tail), last, 0, last.length - tail);
            System.arraycopy(scrollback, end - tail, last, last.length - tail, tail);
            receiver.accept(last);
        } finally {
            lock.unlock();
        }
    }

    /** Has each byte of output told from now on, on a thread of the guest: the listener is short and does not block. */
    public void listen(IntConsumer listener) {
        listeners.add(listener);
    }

    /** Removes a listener. */
    public void unlisten(IntConsumer listener) {
        listeners.remove(listener);
    }

    /** Ends the console's threads after what is left of the output has been copied. */
    @Override
    public void close() {
        Thread feeding;
        lock.lock();
        try {
            closed = true;
            feeding = typist;
            changed.signalAll();
        } finally {
            lock.unlock();
        }
        if (copy != null) {
            copy.close();
        }
        if (feeding != null) {
            try {
                feeding.join(TimeUnit.SECONDS.toMillis(5));
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }
    }

    private String take(int length) {
        String text = decode(output.substring(0, length));
        output.delete(0, length);
        return text;
    }

    private static String tail(StringBuilder text, int length) {
        return decode(text.substring(Math.max(0, text.length() - length)));
    }

    private static String decode(String bytes) {
        return new String(bytes.getBytes(StandardCharsets.ISO_8859_1), StandardCharsets.UTF_8);
    }

    /** The life of the typing thread: hands bytes to the port whenever it has room. */
    private void feed() {
        int offset = 0;
        while (true) {
            byte[] head;
            lock.lock();
            try {
                while (!closed && (input.isEmpty() || !ready)) {
                    changed.awaitUninterruptibly();
                }
                if (closed) {
                    return;
                }
                head = input.getFirst();
                // Cleared before the offer: room that the guest makes meanwhile sets it again.
                ready = false;
            } finally {
                lock.unlock();
            }
            int count = port.receive(head, offset, head.length - offset);
            offset += count;
            lock.lock();
            try {
                taken += count;
                changed.signalAll();
                if (offset == head.length) {
                    input.removeFirst();
                    offset = 0;
                    ready = true;
                } else if (count > 0) {
                    // More may fit by now; an offer that is taken in no part waits for the port's word.
                    ready = true;
                }
            } finally {
                lock.unlock();
            }
        }
    }

    /** What the port calls, with its own lock held. */
    private final class Endpoint implements SerialEndpoint {
        @Override
        public boolean transmit(int value) {
            if (copy != null && !copy.offer(value)) {
                return false;
            }
            lock.lock();
            try {
                if (!listeners.isEmpty()) {
                    listeners.forEach(listener -> listener.accept(value));
                }
                scrollback[(int) (printed++ % SCROLLBACK)] = (byte) value;
                if (output.length() >= KEPT + KEPT / 4) {
                    output.delete(0, output.length() - KEPT);
                }
                output.append((char) value);
                if (lock.hasWaiters(changed)) {
                    changed.signalAll();
                }
            } finally {
                lock.unlock();
            }
            return true;
        }

        @Override
        public void readyToReceive() {
            lock.lock();
            try {
                ready = true;
                changed.signalAll();
            } finally {
                lock.unlock();
            }
        }
    }
}
