package org.torte.network.host;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import org.torte.network.posix.Posix;

/** What libslirp wants to be polled: an array of {@code struct pollfd} (int fd, short events, short revents). One thread at a time. */
final class PollTable implements Slirp.PollSet {
    private static final long POLLFD = 8;
    /** All of an entry but what has happened. */
    private static final long WANTED =
            ByteOrder.nativeOrder() == ByteOrder.LITTLE_ENDIAN ? 0x0000_ffff_ffff_ffffL : 0xffff_ffff_ffff_0000L;

    private MemorySegment table = Arena.ofAuto().allocate(POLLFD * 64, 8);
    private int count;

    /** Empties it, apart from one descriptor that is polled for input. */
    void begin(int wakeupFd) {
        count = 0;
        int ignored = append(wakeupFd, Posix.POLLIN);
    }

    /** Waits until something happens; negative when that fails. */
    int await(Posix.Errno errno, int millis) {
        return Posix.poll(errno, table, count, millis);
    }

    /** Whether the same is polled in the same order. What has happened does not count. */
    boolean sameAs(PollTable other) {
        if (count != other.count) {
            return false;
        }
        for (long at = 0; at < count * POLLFD; at += POLLFD) {
            if (((table.get(JAVA_LONG, at) ^ other.table.get(JAVA_LONG, at)) & WANTED) != 0) {
                return false;
            }
        }
        return true;
    }

    @Override
    public int add(int fd, int events) {
        int wanted = ((events & Slirp.POLL_IN) != 0 ? Posix.POLLIN : 0)
                | ((events & Slirp.POLL_OUT) != 0 ? Posix.POLLOUT : 0)
                | ((events & Slirp.POLL_PRI) != 0 ? Posix.POLLPRI : 0);
        return append(fd, (short) wanted);
    }

    private int append(int fd, short events) {
        if (count * POLLFD == table.byteSize()) {
            MemorySegment larger = Arena.ofAuto().allocate(2 * table.byteSize(), 8);
            MemorySegment.copy(table, 0, larger, 0, table.byteSize());
            table = larger;
        }
        table.set(JAVA_INT, count * POLLFD, fd);
        table.set(JAVA_SHORT, count * POLLFD + 4, events);
        table.set(JAVA_SHORT, count * POLLFD + 6, (short) 0);
        return count++;
    }

    @Override
    public int happened(int index) {
        if (index < 0 || index >= count) {
            return 0;
        }
        int events = table.get(JAVA_SHORT, index * POLLFD + 6);
        return ((events & Posix.POLLIN) != 0 ? Slirp.POLL_IN : 0)
                | ((events & Posix.POLLOUT) != 0 ? Slirp.POLL_OUT : 0)
                | ((events & Posix.POLLPRI) != 0 ? Slirp.POLL_PRI : 0)
                | ((events & Posix.POLLERR) != 0 ? Slirp.POLL_ERR : 0)
                | ((events & Posix.POLLHUP) != 0 ? Slirp.POLL_HUP : 0);
    }
}
