package org.torte.machine.storage;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;
import org.torte.disk.VirtualDisk;
import org.torte.machine.vmbus.BusHost;
import org.torte.machine.vmbus.GuestRange;

/** The guest's memory for one command, and how data get there. For one thread. */
final class ScsiData {
    /** Runs of contiguous guest memory from this size on are worth a request to the disk of their own. */
    private static final int WORTHWHILE_RUN = 32 << 10;

    /** A buffer of each thread that carries out requests, for data that are in many pieces. */
    private static final ThreadLocal<MemorySegment> BUFFER =
            ThreadLocal.withInitial(() -> Arena.ofAuto().allocate(ScsiController.MAX_TRANSFER, 4096));

    private final BusHost host;
    private final @Nullable GuestRange range;
    private int moved;

    ScsiData(BusHost host, @Nullable GuestRange range) {
        this.host = host;
        this.range = range;
    }

    /** How many bytes there is room for. */
    int length() {
        return range == null ? 0 : range.length();
    }

    /** How many bytes have been moved. */
    int moved() {
        return moved;
    }

    /** Gives the guest the first {@code limit} bytes of an answer, or as many as it has room for. */
    void answer(byte[] bytes, int limit) {
        int count = Math.min(Math.min(bytes.length, limit), length());
        if (range != null) {
            range.write(host, 0, bytes, 0, count);
        }
        moved = count;
    }

    /** Takes bytes from the guest, at most {@code limit}. */
    byte[] take(int limit) {
        byte[] bytes = new byte[Math.min(limit, length())];
        if (range != null) {
            range.read(host.memory(), 0, bytes, 0, bytes.length);
        }
        moved = bytes.length;
        return bytes;
    }

    /** Reads from the disk; there is room for {@code count} bytes. */
    void read(VirtualDisk disk, long offset, int count) {
        if (range == null || count == 0) {
            return;
        }
        MemorySegment memory = host.memory().segment();
        if (direct(range, count, disk.logicalSectorSize())) {
            for (int at = 0; at < count; ) {
                int run = range.run(at, count - at);
                try {
                    disk.read(offset + at, memory, range.address(at), run);
                } finally {
                    // Also one that fails may have read something.
                    host.memoryWritten(range.address(at), run);
                }
                at += run;
            }
        } else {
            MemorySegment buffer = BUFFER.get();
            disk.read(offset, buffer, 0, count);
            for (int at = 0; at < count; ) {
                int run = range.run(at, count - at);
                MemorySegment.copy(buffer, at, memory, range.address(at), run);
                host.memoryWritten(range.address(at), run);
                at += run;
            }
        }
        moved = count;
    }

    /** Writes to the disk what the guest has, which is at least {@code count} bytes. */
    void write(VirtualDisk disk, long offset, int count) {
        if (range == null || count == 0) {
            return;
        }
        MemorySegment memory = host.memory().segment();
        if (direct(range, count, disk.logicalSectorSize())) {
            for (int at = 0; at < count; ) {
                int run = range.run(at, count - at);
                disk.write(offset + at, memory, range.address(at), run);
                at += run;
            }
        } else {
            MemorySegment buffer = BUFFER.get();
            for (int at = 0; at < count; ) {
                int run = range.run(at, count - at);
                MemorySegment.copy(memory, range.address(at), buffer, at, run);
                at += run;
            }
            disk.write(offset, buffer, 0, count);
        }
        moved = count;
    }

    /** Whether the pieces are whole sectors, and few enough that a request for each costs less than a copy of all. */
    private static boolean direct(GuestRange range, int count, int sector) {
        int pieces = 0;
        for (int at = 0; at < count; pieces++) {
            int run = range.run(at, count - at);
            if (run % sector != 0) {
                return false;
            }
            at += run;
        }
        return pieces <= 1 || count / pieces >= WORTHWHILE_RUN;
    }
}
