package org.torte.disk.crash;

import java.io.EOFException;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;
import org.torte.disk.DiskFile;

/** A sparse file in memory. Copies share their pages, in chunks of them, until one writes there. */
public final class MemoryFile implements DiskFile {
    private static final int PAGE = 4096;
    private static final int PAGES = 256;
    private static final long CHUNK = (long) PAGE * PAGES;
    private static final VarHandle LONG = MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.nativeOrder());

    /** Up to 256 pages, which are never changed once they are here. Only the file that owns a chunk changes it. */
    private static final class Chunk {
        final Object owner;
        final byte[] @Nullable [] pages;
        /** A sum over the content, 0 while it is not known. */
        private long digest;

        Chunk(Object owner, byte[] @Nullable [] pages) {
            this.owner = owner;
            this.pages = pages;
        }

        void put(int index, byte @Nullable [] page) {
            pages[index] = page;
            digest = 0;
        }

        long digest() {
            if (digest == 0) {
                long sum = 0;
                for (int i = 0; i < PAGES; i++) {
                    long page = pages[i] == null ? 0 : hash(pages[i]);
                    // A page of zeros is the same as none.
                    sum += page == 0 ? 0 : mix(page + i);
                }
                digest = sum;
            }
            return digest;
        }
    }

    private final String name;
    private final TreeMap<Long, Chunk> chunks;
    private Object owner = new Object();
    private long size;
    private boolean readOnly;

    public MemoryFile(String name) {
        this(name, new TreeMap<>(), 0);
    }

    @SuppressWarnings("NonApiType") // it needs the order
    private MemoryFile(String name, TreeMap<Long, Chunk> chunks, long size) {
        this.name = name;
        this.chunks = chunks;
        this.size = size;
    }

    /** The same content, changed independently. */
    public MemoryFile copy() {
        return copyAs(name);
    }

    /** The same content in a file of another name. */
    public synchronized MemoryFile copyAs(String other) {
        owner = new Object();
        return new MemoryFile(other, new TreeMap<>(chunks), size);
    }

    /** Takes over another content. */
    synchronized void become(MemoryFile other) {
        MemoryFile copy = other.copy();
        chunks.clear();
        chunks.putAll(copy.chunks);
        size = copy.size;
    }

    /** The same for files of the same content and size; different contents differ but for a chance of 2^-64. */
    public synchronized long digest() {
        long sum = mix(size);
        for (Map.Entry<Long, Chunk> chunk : chunks.entrySet()) {
            long digest = chunk.getValue().digest();
            sum += digest == 0 ? 0 : mix(digest ^ mix(chunk.getKey()));
        }
        return sum;
    }

    private static long hash(byte[] page) {
        long hash = 0;
        long any = 0;
        for (int i = 0; i < PAGE; i += 8) {
            long value = (long) LONG.get(page, i);
            any |= value;
            hash = (Long.rotateLeft(hash, 23) ^ value) * 0x9e3779b97f4a7c15L + 1;
        }
        return any == 0 ? 0 : hash;
    }

    /** The finalizer of SplitMix64. */
    static long mix(long value) {
        long z = value + 0x9e3779b97f4a7c15L;
        z = (z ^ z >>> 30) * 0xbf58476d1ce4e5b9L;
        z = (z ^ z >>> 27) * 0x94d049bb133111ebL;
        return z ^ z >>> 31;
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

    private byte @Nullable [] page(long index) {
        Chunk chunk = chunks.get(index / PAGES);
        return chunk == null ? null : chunk.pages[(int) (index % PAGES)];
    }

    @SuppressWarnings("ReferenceEquality") // owners are tokens
    private void put(long index, byte @Nullable [] page) {
        Chunk chunk = chunks.get(index / PAGES);
        if (chunk == null || chunk.owner != owner) {
            chunk = new Chunk(owner, chunk == null ? new byte[PAGES][] : chunk.pages.clone());
            chunks.put(index / PAGES, chunk);
        }
        chunk.put((int) (index % PAGES), page);
    }

    @Override
    public synchronized void read(long position, MemorySegment memory, long at, long length) throws IOException {
        if (position < 0 || length > size - position) {
            throw new EOFException("reading " + length + " at " + position + " of " + size);
        }
        MemorySegment target = memory.asSlice(at, length);
        target.fill((byte) 0);
        long end = position + length;
        for (Map.Entry<Long, Chunk> entry :
                chunks.subMap(position / CHUNK, (end + CHUNK - 1) / CHUNK).entrySet()) {
            byte[] @Nullable [] pages = entry.getValue().pages;
            long start = entry.getKey() * CHUNK;
            int last = (int) Math.min(PAGES, (end - start + PAGE - 1) / PAGE);
            for (int i = (int) (Math.max(0, position - start) / PAGE); i < last; i++) {
                byte[] page = pages[i];
                if (page != null) {
                    long from = Math.max(position, start + (long) i * PAGE);
                    long to = Math.min(end, start + (i + 1L) * PAGE);
                    MemorySegment.copy(MemorySegment.ofArray(page), from % PAGE, target, from - position, to - from);
                }
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
            long index = (position + done) / PAGE;
            int in = (int) ((position + done) % PAGE);
            int part = (int) Math.min(PAGE - in, length - done);
            byte[] old = part == PAGE ? null : page(index);
            byte[] content = old == null ? new byte[PAGE] : old.clone();
            MemorySegment.copy(memory, at + done, MemorySegment.ofArray(content), in, part);
            put(index, content);
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
        for (long index = first; index < last; ) {
            Long chunk = chunks.ceilingKey(index / PAGES);
            if (chunk == null) {
                break;
            }
            index = Math.max(index, chunk * PAGES);
            if (index < last && index % PAGES == 0 && last - index >= PAGES) {
                chunks.remove(chunk);
                index += PAGES;
            } else {
                if (index < last && page(index) != null) {
                    put(index, null);
                }
                index++;
            }
        }
        partial(position, Math.min(end, first * PAGE));
        if (last >= first) {
            partial(Math.max(position, last * PAGE), end);
        }
    }

    private void partial(long from, long to) {
        byte[] old = from < to ? page(from / PAGE) : null;
        if (old != null) {
            byte[] content = old.clone();
            Arrays.fill(content, (int) (from % PAGE), (int) (from % PAGE + (to - from)), (byte) 0);
            put(from / PAGE, content);
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

    /** The first page at or after one that is there, or -1. */
    private long nextPage(long index) {
        for (Map.Entry<Long, Chunk> entry : chunks.tailMap(index / PAGES).entrySet()) {
            byte[] @Nullable [] pages = entry.getValue().pages;
            long start = entry.getKey() * PAGES;
            for (int i = (int) Math.max(0, index - start); i < PAGES; i++) {
                if (pages[i] != null) {
                    return start + i;
                }
            }
        }
        return -1;
    }

    @Override
    public synchronized long nextData(long position) {
        long page = nextPage(position / PAGE);
        return page < 0 ? Math.max(position, size) : Math.max(position, page * PAGE);
    }

    @Override
    public synchronized long nextHole(long position) {
        long index = position / PAGE;
        while (page(index) != null) {
            index++;
        }
        return Math.max(position, Math.min(size, index * PAGE));
    }

    @Override
    public synchronized long allocatedSize() {
        long count = 0;
        for (long index = nextPage(0); index >= 0; index = nextPage(index + 1)) {
            count++;
        }
        return count * PAGE;
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
            for (long index = nextPage(0); index >= 0; index = nextPage(index + 1)) {
                byte[] page = page(index);
                if (page != null) {
                    out.seek(index * PAGE);
                    out.write(page, 0, (int) Math.min(PAGE, size - index * PAGE));
                }
            }
        }
    }
}
