package org.torte.disk.vhdx;

import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.zip.CRC32C;
import org.torte.disk.DiskFile;

/**
 * Finds the active sequence of a log (section 2.3.2) in one pass. A valid entry cannot hold the start of another one, as
 * each of its sectors has a signature of its own, so an attempt to validate one ends at the latest where the next
 * begins, and the work is linear in the log's size whatever a hostile file says.
 */
final class LogScan {
    private static final int WINDOW_SECTORS = 64;

    private final DiskFile file;
    private final Header header;
    private final int sectors;
    private final Map<Integer, Optional<LogEntry>> entries = new HashMap<>();
    private final byte[] window = new byte[WINDOW_SECTORS * Layout.PAGE];
    private final ByteBuffer view = Layout.buffer(window);
    private int windowStart = -1;

    LogScan(DiskFile file, Header header) {
        this.file = file;
        this.header = header;
        this.sectors = (int) (header.logLength() / Layout.PAGE);
    }

    /** What the scan found out. */
    record Result(List<LogEntry> active, int validEntries) {}

    /** The entries to replay, oldest first, none when no sequence is valid; for a log that is not empty. */
    Result scan() throws IOException {
        List<LogEntry> best = List.of();
        int start = 0;
        while (start < sectors) {
            List<LogEntry> chain = chain(start);
            if (chain.isEmpty()) {
                start++;
                continue;
            }
            LogEntry head = chain.getLast();
            int tail = indexOf(chain, head.tail());
            if (tail >= 0
                    && (best.isEmpty()
                            || Long.compareUnsigned(
                                            head.sequence(), best.getLast().sequence())
                                    > 0)) {
                best = List.copyOf(chain.subList(tail, chain.size()));
            }
            // No suffix of a chain that is not valid can be valid, so all of it is skipped in either case.
            int end = head.sector() + head.sectors();
            if (end >= sectors || end <= start) {
                break;
            }
            start = end;
        }
        return new Result(best, (int)
                entries.values().stream().filter(Optional::isPresent).count());
    }

    private static int indexOf(List<LogEntry> chain, int tail) {
        for (int i = chain.size() - 1; i >= 0; i--) {
            if (chain.get(i).sector() == tail) {
                return i;
            }
        }
        return -1;
    }

    /** Valid entries with consecutive numbers, from one sector on. */
    private List<LogEntry> chain(int start) throws IOException {
        List<LogEntry> chain = new ArrayList<>();
        int used = 0;
        int at = start;
        while (true) {
            Optional<LogEntry> found = entryAt(at);
            if (found.isEmpty()) {
                return chain;
            }
            LogEntry entry = found.get();
            used += entry.sectors();
            if (used > sectors
                    || (!chain.isEmpty() && entry.sequence() != chain.getLast().sequence() + 1)) {
                return chain;
            }
            chain.add(entry);
            at = (at + entry.sectors()) % sectors;
        }
    }

    private Optional<LogEntry> entryAt(int sector) throws IOException {
        Optional<LogEntry> known = entries.get(sector);
        if (known == null) {
            known = validate(sector);
            if (known.isPresent() || view.getInt(load(sector)) == LogEntry.SIGNATURE) {
                entries.put(sector, known);
            }
        }
        return known;
    }

    private Optional<LogEntry> validate(int sector) throws IOException {
        int at = load(sector);
        if (view.getInt(at) != LogEntry.SIGNATURE
                || !Layout.guid(view.slice(at, Layout.PAGE).order(view.order()), 32)
                        .equals(header.log())) {
            return Optional.empty();
        }
        int checksum = view.getInt(at + 4);
        long length = view.getInt(at + 8) & 0xffffffffL;
        long tail = view.getInt(at + 12) & 0xffffffffL;
        long sequence = view.getLong(at + 16);
        long count = view.getInt(at + 24) & 0xffffffffL;
        LogEntry entry = new LogEntry(
                sector,
                (int) (length / Layout.PAGE),
                (int) (tail / Layout.PAGE),
                sequence,
                (int) count,
                view.getLong(at + 48),
                view.getLong(at + 56));
        if (length == 0
                || length % Layout.PAGE != 0
                || length > header.logLength()
                || tail % Layout.PAGE != 0
                || tail >= header.logLength()
                || sequence == 0
                || count > length / LogEntry.DESCRIPTOR_LENGTH) {
            return Optional.empty();
        }
        return signaturesFit(entry) && checksum == checksum(entry) ? Optional.of(entry) : Optional.empty();
    }

    private boolean signaturesFit(LogEntry entry) throws IOException {
        int dataSectors = 0;
        for (int i = 0; i < entry.descriptors(); i++) {
            int at = descriptor(entry, i);
            int signature = view.getInt(at);
            if (view.getLong(at + 24) != entry.sequence()) {
                return false;
            }
            if (signature == LogEntry.DESCRIPTOR) {
                dataSectors++;
            } else if (signature != LogEntry.ZEROES) {
                return false;
            }
        }
        int first = LogEntry.descriptorSectors(entry.descriptors());
        if (first + dataSectors != entry.sectors()) {
            return false;
        }
        for (int i = first; i < entry.sectors(); i++) {
            int at = load(entry.sector() + i);
            if (view.getInt(at) != LogEntry.DATA
                    || view.getInt(at + 4) != (int) (entry.sequence() >>> 32)
                    || view.getInt(at + Layout.PAGE - 4) != (int) entry.sequence()) {
                return false;
            }
        }
        return true;
    }

    /** Loads a descriptor's sector and returns its place in the window. */
    private int descriptor(LogEntry entry, int index) throws IOException {
        long at = LogEntry.HEADER_LENGTH + (long) index * LogEntry.DESCRIPTOR_LENGTH;
        return load(entry.sector() + (int) (at / Layout.PAGE)) + (int) (at % Layout.PAGE);
    }

    private int checksum(LogEntry entry) throws IOException {
        CRC32C crc = new CRC32C();
        for (int i = 0; i < entry.sectors(); i++) {
            int at = load(entry.sector() + i);
            if (i == 0) {
                crc.update(window, at, 4);
                crc.update(new byte[4]);
                crc.update(window, at + 8, Layout.PAGE - 8);
            } else {
                crc.update(window, at, Layout.PAGE);
            }
        }
        return (int) crc.getValue();
    }

    /** The file position of a sector of the log, which may be counted beyond its end. */
    private long position(int sector) {
        return header.logOffset() + (long) (sector % sectors) * Layout.PAGE;
    }

    /** Makes a sector of the log available and returns its place in the window. */
    private int load(int sector) throws IOException {
        int wrapped = sector % sectors;
        int start = wrapped / WINDOW_SECTORS * WINDOW_SECTORS;
        if (start != windowStart) {
            windowStart = -1;
            try {
                long length = Math.min(window.length, (long) (sectors - start) * Layout.PAGE);
                file.read(position(start), java.lang.foreign.MemorySegment.ofArray(window), 0, length);
            } catch (EOFException e) {
                throw new EOFException("the log lies beyond the end of the file");
            }
            windowStart = start;
        }
        return (wrapped - start) * Layout.PAGE;
    }

    /** Receives what a sequence changes, in its order. */
    interface Changes {
        /** A page of the file gets new content: all but the first 8 and last 4 bytes come from the data sector. */
        void data(long offset, long leading, int trailing, long dataSector) throws IOException;

        /** A range of the file becomes zeros. */
        void zero(long offset, long length) throws IOException;
    }

    /** Goes through the descriptors of an entry that {@link #scan()} returned. */
    void changes(LogEntry entry, Changes target) throws IOException {
        int data = LogEntry.descriptorSectors(entry.descriptors());
        for (int i = 0; i < entry.descriptors(); i++) {
            int at = descriptor(entry, i);
            int signature = view.getInt(at);
            int trailing = view.getInt(at + 4);
            long leading = view.getLong(at + 8);
            long offset = view.getLong(at + 16);
            if (signature == LogEntry.DESCRIPTOR) {
                target.data(offset, leading, trailing, position(entry.sector() + data));
                data++;
            } else {
                target.zero(offset, leading);
            }
        }
    }
}
