package org.torte.disk.vhdx;

import java.io.EOFException;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.torte.disk.DiskAccess;
import org.torte.disk.DiskFile;

/**
 * A file as it will be after its log has been replayed, for reading: the log is looked up, nothing is written. It
 * remembers where the pages lie in the log, not their content. {@link #apply} does the same to the file itself.
 */
final class ReplayedFile implements DiskFile {
    private static final ValueLayout.OfLong LONG =
            ValueLayout.JAVA_LONG_UNALIGNED.withOrder(java.nio.ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfInt INT =
            ValueLayout.JAVA_INT_UNALIGNED.withOrder(java.nio.ByteOrder.LITTLE_ENDIAN);

    private record Page(long leading, int trailing, long dataSector) {}

    private final DiskFile base;
    private final long baseSize;
    private final long size;
    private final TreeMap<Long, Page> pages = new TreeMap<>();
    /** Zeroed ranges, start to end, apart from each other; pages count before them. */
    private final TreeMap<Long, Long> zeros = new TreeMap<>();

    /**
     * Collects what the log changes.
     *
     * @throws BadImageException when an entry changes what no entry may change
     */
    ReplayedFile(DiskFile base, Header header, LogScan scan, List<LogEntry> active) throws IOException {
        this.base = base;
        this.baseSize = base.size();
        LogEntry head = active.getLast();
        if (Long.compareUnsigned(head.last(), Layout.MAXIMUM_FILE) > 0) {
            throw new BadImageException(
                    "the log wants to extend the file to " + Long.toUnsignedString(head.last()) + " bytes");
        }
        this.size = Math.max(baseSize, head.last());
        for (LogEntry entry : active) {
            scan.changes(entry, new LogScan.Changes() {
                @Override
                public void data(long offset, long leading, int trailing, long dataSector) {
                    check(header, offset, Layout.PAGE);
                    pages.put(offset, new Page(leading, trailing, dataSector));
                }

                @Override
                public void zero(long offset, long length) {
                    check(header, offset, length);
                    pages.subMap(offset, offset + length).clear();
                    addZeros(offset, offset + length);
                }
            });
        }
    }

    private void check(Header header, long offset, long length) {
        // Headers are never logged (section 2.3); the file identifier is never rewritten.
        if (offset % Layout.PAGE != 0
                || length % Layout.PAGE != 0
                || length < 0
                || offset < Layout.REGIONS_1
                || offset > size
                || length > size - offset
                || Layout.overlap(offset, length, header.logOffset(), header.logLength())) {
            throw new BadImageException("the log changes " + Long.toUnsignedString(length) + " bytes at "
                    + Long.toUnsignedString(offset) + ", where it must not");
        }
    }

    private void addZeros(long start, long end) {
        if (start == end) {
            return;
        }
        long from = start;
        long to = end;
        Map.Entry<Long, Long> before = zeros.floorEntry(from);
        if (before != null && before.getValue() >= from) {
            from = before.getKey();
            to = Math.max(to, before.getValue());
        }
        Map<Long, Long> inside = zeros.subMap(from, true, to, true);
        for (long other : inside.values()) {
            to = Math.max(to, other);
        }
        inside.clear();
        zeros.put(from, to);
    }

    /** Writes the changes into the file itself and extends it; the caller forces it. May be repeated at any time. */
    void apply() throws IOException {
        if (size > baseSize) {
            base.truncate(size);
        }
        for (Map.Entry<Long, Long> range : zeros.entrySet()) {
            // What lies beyond the old end has just been added as zeros.
            long end = Math.min(range.getValue(), baseSize);
            long at = range.getKey();
            if (at < end) {
                base.clear(at, end - at);
            }
        }
        byte[] content = new byte[Layout.PAGE];
        for (Map.Entry<Long, Page> page : pages.entrySet()) {
            load(page.getValue(), content);
            base.write(page.getKey(), content);
        }
    }

    private void load(Page page, byte[] content) throws IOException {
        base.read(page.dataSector, content);
        MemorySegment memory = MemorySegment.ofArray(content);
        memory.set(LONG, 0, page.leading);
        memory.set(INT, Layout.PAGE - 4, page.trailing);
    }

    @Override
    public String name() {
        return base.name();
    }

    @Override
    public boolean readOnly() {
        return true;
    }

    @Override
    public long size() {
        return size;
    }

    @Override
    public long allocatedSize() throws IOException {
        return base.allocatedSize();
    }

    @Override
    public void read(long position, MemorySegment memory, long at, long length) throws IOException {
        if (position < 0 || length > size - position) {
            throw new EOFException("reading " + length + " bytes at " + position + ": the file ends at " + size);
        }
        long inside = Math.clamp(baseSize - position, 0, length);
        if (inside > 0) {
            base.read(position, memory, at, inside);
        }
        memory.asSlice(at + inside, length - inside).fill((byte) 0);
        long end = position + length;
        Long firstZero = zeros.floorKey(position);
        for (Map.Entry<Long, Long> range : zeros.subMap(firstZero == null ? position : firstZero, true, end, false)
                .entrySet()) {
            long from = Math.max(range.getKey(), position);
            long to = Math.min(range.getValue(), end);
            if (from < to) {
                memory.asSlice(at + from - position, to - from).fill((byte) 0);
            }
        }
        long firstPage = position & -Layout.PAGE;
        Map<Long, Page> changed = pages.subMap(firstPage, end);
        if (!changed.isEmpty()) {
            byte[] content = new byte[Layout.PAGE];
            for (Map.Entry<Long, Page> page : changed.entrySet()) {
                load(page.getValue(), content);
                long from = Math.max(page.getKey(), position);
                long to = Math.min(page.getKey() + Layout.PAGE, end);
                MemorySegment.copy(
                        MemorySegment.ofArray(content), from - page.getKey(), memory, at + from - position, to - from);
            }
        }
    }

    @Override
    public void write(long position, MemorySegment memory, long at, long length) throws IOException {
        throw refused();
    }

    @Override
    public void truncate(long newSize) throws IOException {
        throw refused();
    }

    @Override
    public boolean punchHole(long position, long length) throws IOException {
        throw refused();
    }

    @Override
    public boolean allocate(long position, long length) throws IOException {
        throw refused();
    }

    @Override
    public void force() throws IOException {
        throw refused();
    }

    private static IOException refused() {
        return new IOException("the file is open for reading");
    }

    @Override
    public long nextData(long position) throws IOException {
        Long page = pages.ceilingKey(position & -Layout.PAGE);
        long changed = page == null ? size : Math.max(page, position);
        long own = position >= baseSize ? size : base.nextData(position);
        return Math.min(changed, own >= baseSize ? size : own);
    }

    @Override
    public long nextHole(long position) {
        return size;
    }

    @Override
    public boolean relock(DiskAccess access) throws IOException {
        return base.relock(access);
    }

    @Override
    public void close() throws IOException {
        base.close();
    }
}
