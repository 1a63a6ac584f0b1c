package org.torte.disk.crash;

import java.io.EOFException;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;
import org.torte.disk.DiskFile;

/** A sparse file in memory. Copies share their pages. */
public class MemoryFile implements DiskFile {
    private static final int PAGE = 4096;
    private final String name;
    private final TreeMap<Long, byte[]> pages;
    private long size;
    private boolean readOnly;

    public MemoryFile(String name) {
        this(name, new TreeMap<>(), 0);
    }

    @SuppressWarnings("NonApiType") // it needs the order
    private MemoryFile(String name, TreeMap<Long, byte[]> pages, long size) {
        this.name = name;
        this.pages = pages;
        this.size = size;
    }

    /** The same content, changed independently. */
    public synchronized MemoryFile copy() {
        return new MemoryFile(name, new TreeMap<>(pages), size);
    }

    /** Takes over another content. */
    synchronized void become(MemoryFile other) {
        MemoryFile copy = other.copy();
        pages.clear();
        pages.putAll(copy.pages);
        size = copy.size;
    }

    /** The same content in a file of another name. */
    public synchronized MemoryFile copyAs(String other) {
        return new MemoryFile(other, new TreeMap<>(pages), size);
    }

    public MemoryFile asReadOnly() {
        MemoryFile copy = copy();
        copy.readOnly = true;
        return copy;
    }

    @Override
    public String name() {
        return name;
    }

    @Override
    public boolean readOnly() {
        return readOnly;
    }

    @Override
    public synchronized long size() {
        return size;
    }

    @Override
    public synchronized void read(long position, MemorySegment memory, long at, long length) throws IOException {
        if (position < 0 || length > size - position) {
            throw new EOFException("reading " + length + " at " + position + " of " + size);
        }
        MemorySegment target = memory.asSlice(at, length);
        for (long done = 0; done < length; ) {
            long page = (position + done) / PAGE;
            int in = (int) ((position + done) % PAGE);
            byte[] content = pages.get(page);
            if (content == null) {
                Long next = pages.ceilingKey(page);
                long part = next == null ? length - done : Math.min(length - done, next * PAGE - position - done);
                target.asSlice(done, part).fill((byte) 0);
                done += part;
            } else {
                long part = Math.min(PAGE - in, length - done);
                MemorySegment.copy(MemorySegment.ofArray(content), in, target, done, part);
                done += part;
            }
        }
    }

    @Override
    public synchronized void write(long position, MemorySegment memory, long at, long length) throws IOException {
        if (readOnly) {
            throw new IOException("read-only");
        }
        size = Math.max(size, position + length);
        for (long done = 0; done < length; ) {
            long page = (position + done) / PAGE;
            int in = (int) ((position + done) % PAGE);
            int part = (int) Math.min(PAGE - in, length - done);
            byte[] old = pages.get(page);
            byte[] content = old == null ? new byte[PAGE] : old.clone();
            MemorySegment.copy(memory, at + done, MemorySegment.ofArray(content), in, part);
            pages.put(page, content);
            done += part;
        }
    }

    @Override
    public synchronized void truncate(long newSize) throws IOException {
        if (readOnly) {
            throw new IOException("read-only");
        }
        if (newSize < size) {
            zero(newSize, size - newSize);
        }
        size = newSize;
    }

    private void zero(long position, long length) {
        long end = position + length;
        long first = (position + PAGE - 1) / PAGE;
        long last = end / PAGE;
        if (first < last) {
            pages.subMap(first, last).clear();
        }
        partial(position, Math.min(end, first * PAGE));
        if (last >= first) {
            partial(Math.max(position, last * PAGE), end);
        }
    }

    private void partial(long from, long to) {
        byte[] old = from < to ? pages.get(from / PAGE) : null;
        if (old != null) {
            byte[] content = old.clone();
            java.util.Arrays.fill(content, (int) (from % PAGE), (int) (from % PAGE + (to - from)), (byte) 0);
            pages.put(from / PAGE, content);
        }
    }

    @Override
    public synchronized boolean punchHole(long position, long length) throws IOException {
        if (readOnly) {
            throw new IOException("read-only");
        }
        zero(position, Math.min(length, Math.max(0, size - position)));
        return true;
    }

    @Override
    public synchronized boolean allocate(long position, long length) {
        size = Math.max(size, position + length);
        return true;
    }

    @Override
    public synchronized long nextData(long position) {
        Long page = pages.ceilingKey(position / PAGE);
        return page == null ? Math.max(position, size) : Math.max(position, page * PAGE);
    }

    @Override
    public synchronized long nextHole(long position) {
        long page = position / PAGE;
        while (pages.containsKey(page)) {
            page++;
        }
        return Math.max(position, Math.min(size, page * PAGE));
    }

    @Override
    public synchronized long allocatedSize() {
        return (long) pages.size() * PAGE;
    }

    @Override
    public void force() throws IOException {
        if (readOnly) {
            throw new IOException("read-only");
        }
    }

    @Override
    public void close() {}

    /** Writes the content into a file of the host, for other programs to judge. */
    public synchronized void export(Path path) throws IOException {
        try (RandomAccessFile out = new RandomAccessFile(path.toFile(), "rw")) {
            out.setLength(0);
            out.setLength(size);
            for (Map.Entry<Long, byte[]> page : pages.entrySet()) {
                long at = page.getKey() * PAGE;
                out.seek(at);
                out.write(page.getValue(), 0, (int) Math.min(PAGE, size - at));
            }
        }
    }
}
