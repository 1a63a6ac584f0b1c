package org.torte.machine.vmbus;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;
import org.torte.base.GuestMemory;
import org.torte.base.StateInput;
import org.torte.base.StateOutput;

/**
 * The buffers that the guest has given to the bus by handle (GPA descriptor lists), complete or still being described.
 * Not for several threads.
 */
final class GpadlTable {
    /** The most pages of all lists together (4 GiB), and the most lists. */
    static final int MAX_PAGES = 1 << 20, MAX_LISTS = 4096;

    private static final int RANGE_HEADER = 8;

    /** A list. Its range is there when it is complete. */
    private static final class List {
        final int channel;
        final byte[] text;
        int filled;

        @Nullable
        GuestRange range;

        List(int channel, int length) {
            this.channel = channel;
            text = new byte[length];
        }

        boolean complete() {
            return filled == text.length;
        }
    }

    /** What became of a message. */
    enum Outcome {
        /** The list is not complete yet. */
        MORE,
        CREATED,
        REFUSED,
        /** The message belongs to nothing. */
        IGNORED
    }

    private final GuestMemory memory;
    private final Map<Integer, List> lists = new TreeMap<>();
    private long pages;

    GpadlTable(GuestMemory memory) {
        this.memory = memory;
    }

    /** The first part of a list: {@code body} holds what follows the counts. */
    Outcome header(int channel, int handle, int length, int rangeCount, ByteBuffer body) {
        if (lists.containsKey(handle)) {
            return Outcome.REFUSED;
        }
        if (rangeCount != 1
                || length < RANGE_HEADER + Long.BYTES
                || length % Long.BYTES != 0
                || lists.size() >= MAX_LISTS
                || pages + length / Long.BYTES > MAX_PAGES) {
            return Outcome.REFUSED;
        }
        List list = new List(channel, length);
        lists.put(handle, list);
        pages += length / Long.BYTES;
        return fill(handle, list, body);
    }

    /** A further part. */
    Outcome body(int handle, ByteBuffer body) {
        List list = lists.get(handle);
        return list == null || list.complete() ? Outcome.IGNORED : fill(handle, list, body);
    }

    private Outcome fill(int handle, List list, ByteBuffer body) {
        int part = Math.min(body.remaining(), list.text.length - list.filled);
        body.get(list.text, list.filled, part);
        list.filled += part;
        if (!list.complete()) {
            return Outcome.MORE;
        }
        list.range = GuestRange.parse(ByteBuffer.wrap(list.text).order(ByteOrder.LITTLE_ENDIAN), memory);
        if (list.range == null) {
            remove(handle);
            return Outcome.REFUSED;
        }
        return Outcome.CREATED;
    }

    /** The channel that a list being described belongs to, or -1. */
    int channelOf(int handle) {
        List list = lists.get(handle);
        return list == null ? -1 : list.channel;
    }

    /** A complete list of a channel. */
    @Nullable
    GuestRange find(int channel, int handle) {
        List list = lists.get(handle);
        return list == null || list.channel != channel ? null : list.range;
    }

    void remove(int handle) {
        List list = lists.remove(handle);
        if (list != null) {
            pages -= list.text.length / Long.BYTES;
        }
    }

    void removeOf(int channel) {
        for (Integer handle : java.util.List.copyOf(lists.keySet())) {
            if (channelOf(handle) == channel) {
                remove(handle);
            }
        }
    }

    void clear() {
        lists.clear();
        pages = 0;
    }

    void save(StateOutput state) {
        state.putInt(lists.size());
        lists.forEach((handle, list) -> {
            state.putInt(handle).putInt(list.channel).putInt(list.filled).putBytes(list.text);
        });
    }

    void restore(StateInput state) {
        clear();
        int count = state.getInt();
        state.check(count >= 0 && count <= MAX_LISTS, count + " buffers");
        for (int i = 0; i < count; i++) {
            int handle = state.getInt();
            int channel = state.getInt();
            int filled = state.getInt();
            byte[] text = state.getBytes();
            state.check(
                    filled >= 0 && filled <= text.length && text.length >= RANGE_HEADER && text.length % 8 == 0,
                    "a buffer's description of " + text.length + " bytes");
            List list = new List(channel, text.length);
            ByteBuffer part = ByteBuffer.wrap(text, 0, filled);
            state.check(lists.put(handle, list) == null, "a buffer twice");
            pages += text.length / Long.BYTES;
            state.check(pages <= MAX_PAGES, "buffers of " + pages + " pages");
            state.check(fill(handle, list, part) != Outcome.REFUSED, "a buffer outside RAM");
        }
    }
}
