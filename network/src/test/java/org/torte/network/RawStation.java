package org.torte.network;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.torte.base.net.FrameBatch;
import org.torte.base.net.MacAddress;
import org.torte.base.net.NetworkAdapter;
import org.torte.base.net.NetworkPort;

/** Stands for a machine in tests: sends bytes and keeps what it gets. */
public class RawStation implements NetworkAdapter {
    /** What it got; compared field by field where that matters: bytes, tag beside them, flags, size of segments. */
    @SuppressWarnings("ArrayRecordComponent")
    public record Frame(byte[] bytes, int vlan, int flags, int segmentSize) {}

    private final MacAddress address;
    private final FrameBatch out = new FrameBatch(256, 256 << 10);
    public final List<Frame> got = new ArrayList<>();
    /** How many frames it takes; tests set it lower. */
    public int room = Integer.MAX_VALUE;

    int roomCalls;
    int linkCalls;

    @Nullable
    NetworkPort port;

    public RawStation(long address) {
        this.address = new MacAddress(address);
    }

    public RawStation plugInto(NetworkPort into) {
        port = into;
        into.plug(this);
        return this;
    }

    @Override
    public MacAddress address() {
        return address;
    }

    @Override
    public synchronized int receive(FrameBatch frames, int first) {
        int taken = 0;
        for (int i = first; i < frames.size() && room > 0; i++, taken++) {
            room--;
            got.add(new Frame(
                    frames.view(i).toArray(ValueLayout.JAVA_BYTE),
                    frames.vlan(i),
                    frames.flags(i),
                    frames.segmentSize(i)));
        }
        return taken;
    }

    @Override
    public void linkChanged() {
        linkCalls++;
    }

    @Override
    public void roomAvailable() {
        roomCalls++;
    }

    /** Sends frames in one batch; returns how many were taken. */
    public int send(byte[]... frames) {
        out.clear();
        for (byte[] frame : frames) {
            add(frame, FrameBatch.NO_VLAN, 0, 0);
        }
        return flush();
    }

    void add(byte[] frame, int vlan, int flags, int segmentSize) {
        int at = out.append(frame.length);
        MemorySegment.copy(frame, 0, out.bytes(), ValueLayout.JAVA_BYTE, at, frame.length);
        out.describe(out.size() - 1, flags, segmentSize, vlan);
    }

    /** Sends what was added. */
    int flush() {
        NetworkPort to = port;
        if (to == null) {
            throw new IllegalStateException("not plugged in");
        }
        int taken = to.send(out, 0);
        out.clear();
        return taken;
    }

    /** Sends one frame from within {@link #receive}, when another one may be on its way. */
    void answer(byte[] frame) {
        FrameBatch one = new FrameBatch(1, FrameBatch.MAX_LENGTH);
        int at = one.append(frame.length);
        MemorySegment.copy(frame, 0, one.bytes(), ValueLayout.JAVA_BYTE, at, frame.length);
        java.util.Objects.requireNonNull(port).send(one, 0);
    }

    /** A frame from here: addresses, type, and a body that begins with {@code marker}. */
    public byte[] frame(MacAddress to, int type, int marker) {
        return Frames.ethernet(to, address, type, new byte[] {(byte) (marker >>> 8), (byte) marker, 0, 0});
    }

    public byte[] frame(RawStation to, int marker) {
        return frame(to.address, 0x88b5, marker);
    }

    /** The markers of what it got, in order. */
    List<Integer> markers() {
        return got.stream().map(frame -> marker(frame.bytes)).toList();
    }

    private static int marker(byte[] bytes) {
        return (bytes[14] & 0xff) << 8 | bytes[15] & 0xff;
    }
}
