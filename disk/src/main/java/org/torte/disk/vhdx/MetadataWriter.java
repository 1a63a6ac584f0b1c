package org.torte.disk.vhdx;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.ReentrantLock;
import java.util.zip.CRC32C;
import org.jspecify.annotations.Nullable;
import org.torte.base.RandomSource;
import org.torte.disk.DiskException;
import org.torte.disk.DiskFile;
import org.torte.disk.Durability;
import org.torte.disk.Faults;
import org.torte.disk.Identifiers;

/**
 * Writes changed metadata pages through the log (section 2.3). Changes gather in memory until a flush or until there are
 * many; then they go into one entry, so that they take effect together:
 *
 * <ol>
 *   <li>copy the dirty pages into an entry, under the metadata lock;
 *   <li>if new content replaces something other than zeros, force that content first;
 *   <li>write the entry and force it: from here on the changes are durable. An opener's first entry begins a new log: the
 *       changes are durable when the headers name that, and the content is before it;
 *   <li>write the pages to their places. They become durable with any later force, and only an entry written after that
 *       force moves the tail beyond this one;
 *   <li>give the space that the changes have freed back for use. Not earlier: before a crash the durable block table
 *       still refers to it.
 * </ol>
 *
 * <p>An entry never overwrites what the newest durable entry needs (its tail to itself). Safe for use by several threads.
 */
final class MetadataWriter {
    /** Pages that may be dirty before a change has to wait for them to be written; fits the smallest log. */
    static final int MOST_DIRTY = 200;
    /** Dirty pages that make it worth writing them without being asked. */
    private static final int MANY_DIRTY = 80;

    private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final int LARGEST_ENTRY = MOST_DIRTY + LogEntry.descriptorSectors(MOST_DIRTY);

    /** Space of the file. */
    record Range(long offset, long length) {}

    private final DiskFile file;
    private final Headers headers;
    private final SpaceMap space;
    private final Durability durability;
    private final Faults faults;
    private final RandomSource random;

    private final ReentrantLock metadataLock = new ReentrantLock();
    /** Guards everything about the log, and the order of entries. Taken before the metadata lock. */
    private final ReentrantLock logLock = new ReentrantLock();

    private final List<MetadataPage> dirty = new ArrayList<>();
    private List<Range> freed = new ArrayList<>();
    private final AtomicBoolean contentFirst = new AtomicBoolean();

    /** Where entries are put together; allocated when the first is needed. */
    private MemorySegment entryMemory = MemorySegment.NULL;

    private ByteBuffer entryBuffer = ByteBuffer.allocate(0);
    private final List<MetadataPage> snapshot = new ArrayList<>();
    private final ArrayDeque<LogEntry> live = new ArrayDeque<>();
    private List<Range> punched = new ArrayList<>();
    private int logSectors;
    private int nextSector;
    private long sequence;
    /** The last entry whose pages are in their places, and the last of which that is durable. */
    private long appliedThrough;

    private long durablyApplied;
    private long durableSize;
    private UUID logId = Layout.NIL;

    private volatile boolean started;
    private volatile boolean crowded;
    /** Whether the headers name the log, durably. */
    private boolean logNamed;
    /** Whether a header may name it although the attempt failed. */
    private boolean namingFailed;

    private volatile @Nullable UUID announced;

    MetadataWriter(
            DiskFile file,
            Headers headers,
            SpaceMap space,
            Durability durability,
            Faults faults,
            RandomSource random,
            long durableSize) {
        this.file = file;
        this.headers = headers;
        this.space = space;
        this.durability = durability;
        this.faults = faults;
        this.random = random;
        this.durableSize = durableSize;
    }

    /** The DataWriteGuid that this opener sets, instead of a random one: its children know it already. */
    void announceContentIdentifier(UUID identifier) {
        announced = identifier;
    }

    private UUID nextContent() {
        UUID known = announced;
        return known == null ? Identifiers.random(random) : known;
    }

    // ------------------------------------------------------------------ opening and closing

    /**
     * Prepares the file for its first modification by this opener: FileWriteGuid changes before anything else, and
     * DataWriteGuid with it; then the space behind the last block goes. The log stays empty until metadata changes.
     */
    void start() {
        if (started) {
            return;
        }
        logLock.lock();
        try {
            if (started) {
                return;
            }
            faults.check();
            Header fresh = headers.current().withFileWrite(Identifiers.random(random));
            headers.update(fresh.withLog(Layout.NIL).withDataWrite(nextContent()), durability);
            // What a crash left behind the last block must not show through where this opener extends the file. It is
            // gone durably before anything refers to that space: before the first entry of the log counts.
            cutEnd();
            durableSize = Math.min(durableSize, space.fileSize());
            started = true;
        } catch (IOException e) {
            throw faults.of(e);
        } finally {
            logLock.unlock();
        }
    }

    private void cutEnd() throws IOException {
        file.truncate(space.usedEnd());
        durability.modified();
        space.setFileSize(space.usedEnd());
    }

    boolean started() {
        return started;
    }

    /** Writes everything and marks the log as empty. */
    void finish() {
        if (!started) {
            return;
        }
        writeOut();
        logLock.lock();
        try {
            force();
            if (logNamed && durablyApplied < sequence - 1) {
                throw noLogSpace();
            }
            if (logNamed || namingFailed) {
                headers.update(headers.current().withLog(Layout.NIL), durability);
                logNamed = false;
                namingFailed = false;
                durability.force();
            }
            if (file.size() != space.usedEnd()) {
                cutEnd();
            }
            started = false;
        } catch (IOException e) {
            throw faults.of(e);
        } finally {
            logLock.unlock();
        }
    }

    // ------------------------------------------------------------------ changes

    /**
     * Locks the metadata for a change that makes up to {@code pages} pages dirty, so that all of it goes into the same
     * entry. Must be followed by {@link #endChange()}.
     */
    @SuppressWarnings("LockNotBeforeTry") // endChange() unlocks
    void beginChange(int pages) {
        while (true) {
            metadataLock.lock();
            if (dirty.size() + pages <= MOST_DIRTY) {
                return;
            }
            metadataLock.unlock();
            writeOut();
        }
    }

    /** Ends a change. */
    void endChange() {
        crowded = dirty.size() > MANY_DIRTY;
        metadataLock.unlock();
    }

    /** Writes the pages when many have gathered; called after a request, which is complete even if this fails. */
    void relieve() {
        if (crowded) {
            crowded = false;
            writeOut();
        }
    }

    /** Says that a page, pinned by the caller, was changed; inside a change. */
    void changed(MetadataPage page) {
        if (!page.dirty) {
            boolean pinned = page.pin();
            assert pinned : "a changed page is pinned by whoever changes it";
            page.dirty = true;
            dirty.add(page);
        }
    }

    /** Says that space is no longer referred to; inside a change, after the reference is gone. */
    void freed(long offset, long length) {
        freed.add(new Range(offset, length));
    }

    /** Gives back space that was never referred to but may have been written. */
    void abandon(long offset, long length) {
        metadataLock.lock();
        try {
            freed(offset, length);
        } finally {
            metadataLock.unlock();
        }
    }

    /** Says that content was written that must be durable before the metadata that shows it; before that change. */
    void contentFirst() {
        contentFirst.set(true);
    }

    /** Makes everything durable that was written, and the metadata that refers to it. */
    void flush() {
        if (started && hasChanges()) {
            writeOut();
        } else {
            durability.force();
        }
    }

    private boolean hasChanges() {
        // Taking the log lock waits for an entry that is being written, which may carry the caller's changes.
        logLock.lock();
        metadataLock.lock();
        try {
            return !dirty.isEmpty() || !freed.isEmpty();
        } finally {
            metadataLock.unlock();
            logLock.unlock();
        }
    }

    // ------------------------------------------------------------------ the log

    /** Writes all changed pages as one entry. Returns when the changes that came before the call are durable. */
    void writeOut() {
        logLock.lock();
        try {
            faults.check();
            writeOutLocked();
        } catch (IOException e) {
            throw faults.of(e);
        } finally {
            logLock.unlock();
        }
    }

    /**
     * Like {@link #writeOut()}, and makes sure that all pages are in their places: for what drops cached pages.
     *
     * @throws DiskException NO_SPACE when the host has none for them; nothing is lost
     */
    void settle() {
        writeOut();
        logLock.lock();
        try {
            if (appliedThrough < sequence - 1) {
                throw noLogSpace();
            }
        } finally {
            logLock.unlock();
        }
    }

    /** Begins a log under a new GUID, which no header names before its first entry is durable. */
    private void beginLog() throws IOException {
        if (namingFailed) {
            headers.update(headers.current().withLog(Layout.NIL), durability);
            namingFailed = false;
        }
        logId = Identifiers.random(random);
        logSectors = (int) (headers.current().logLength() / Layout.PAGE);
        // Any number will do; one beyond 32 bits keeps both halves in use, one far from the end never wraps.
        sequence = random.nextLong() >>> 2 | 1;
        nextSector = 0;
        live.clear();
        appliedThrough = sequence - 1;
        durablyApplied = sequence - 1;
    }

    /** Writes an entry, durably. */
    private void commitEntry(int pages) throws IOException {
        writeEntry(pages);
        force();
        if (!logNamed) {
            namingFailed = true;
            headers.update(headers.current().withLog(logId), durability);
            namingFailed = false;
            logNamed = true;
        }
    }

    private void allocateEntry() {
        if (entryBuffer.capacity() == 0) {
            entryMemory = Arena.ofAuto().allocate((long) LARGEST_ENTRY * Layout.PAGE, Layout.PAGE);
            entryBuffer = entryMemory.asByteBuffer().order(ByteOrder.LITTLE_ENDIAN);
        }
    }

    private void writeOutLocked() throws IOException {
        allocateEntry();
        boolean content = contentFirst.getAndSet(false);
        List<Range> free;
        metadataLock.lock();
        try {
            free = freed;
            freed = new ArrayList<>();
            snapshot.clear();
            snapshot.addAll(dirty);
            dirty.clear();
            int at = LogEntry.descriptorSectors(snapshot.size()) * Layout.PAGE;
            for (MetadataPage page : snapshot) {
                page.dirty = false;
                for (int i = 0; i < MetadataPage.WORDS; i++) {
                    entryMemory.set(LONG, at + 8L * i, page.get(i));
                }
                at += Layout.PAGE;
            }
        } finally {
            metadataLock.unlock();
        }
        content |= contentFirst.get();
        boolean logged = false;
        boolean applied = false;
        try {
            if (snapshot.isEmpty()) {
                force();
            } else {
                if (!logNamed) {
                    // Its first entry counts only after the force that makes it and the content durable.
                    beginLog();
                } else if (content) {
                    force();
                }
                makeRoom(snapshot.size() + LogEntry.descriptorSectors(snapshot.size()));
                commitEntry(snapshot.size());
            }
            logged = true;
            for (Range range : punched) {
                space.cleaned(range.offset, range.length);
            }
            punched = new ArrayList<>();
            applied = snapshot.isEmpty() || apply();
        } finally {
            if (!applied) {
                redirty(logged ? List.of() : free);
            }
            if (applied) {
                snapshot.forEach(MetadataPage::unpin);
            }
        }
        release(free);
    }

    /** After a failure the pages count as dirty again and the space as not yet free. */
    private void redirty(List<Range> free) {
        metadataLock.lock();
        try {
            for (MetadataPage page : snapshot) {
                if (page.dirty) {
                    page.unpin();
                } else {
                    page.dirty = true;
                    dirty.add(page);
                }
            }
            freed.addAll(free);
        } finally {
            metadataLock.unlock();
        }
    }

    /**
     * Forces the file. Entries whose pages were in their places before are not needed any more by the next entry, and
     * those that the newest entry, durable now, does not need can be overwritten.
     */
    private void force() {
        long size = space.fileSize();
        long applied = appliedThrough;
        durability.force();
        durableSize = size;
        durablyApplied = applied;
        while (!live.isEmpty() && live.getFirst().sector() != live.getLast().tail()) {
            live.removeFirst();
        }
    }

    private int usedSectors() {
        int sum = 0;
        for (LogEntry entry : live) {
            sum += entry.sectors();
        }
        return sum;
    }

    /** Makes sure that an entry of this length fits without touching what the newest durable entry needs. */
    private void makeRoom(int sectors) throws IOException {
        if (usedSectors() + sectors < logSectors) {
            return;
        }
        force();
        if (durablyApplied < sequence - 1) {
            throw noLogSpace();
        }
        // An entry without descriptors whose tail is itself: once it is durable nothing older is needed.
        writeEntry(0);
        appliedThrough = sequence - 1;
        force();
        if (usedSectors() + sectors >= logSectors) {
            throw noLogSpace();
        }
    }

    private DiskException noLogSpace() {
        return new DiskException(
                DiskException.Kind.NO_SPACE,
                file.name(),
                "its block table cannot be written for lack of space on the host",
                "make space; what was flushed is intact and the request can be repeated");
    }

    /**
     * Writes an entry from {@link #entryMemory}, where the data sectors are in place as whole pages, and counts it in.
     * When the write fails nothing has happened: the next entry takes the same place and number.
     */
    private void writeEntry(int pages) throws IOException {
        int first = LogEntry.descriptorSectors(pages);
        entryMemory.asSlice(0, (long) first * Layout.PAGE).fill((byte) 0);
        int tail = nextSector;
        for (LogEntry older : live) {
            if (older.sequence() > durablyApplied) {
                tail = older.sector();
                break;
            }
        }
        LogEntry entry = new LogEntry(nextSector, first + pages, tail, sequence, pages, durableSize, space.fileSize());
        for (int i = 0; i < pages; i++) {
            int sector = (first + i) * Layout.PAGE;
            int at = LogEntry.HEADER_LENGTH + i * LogEntry.DESCRIPTOR_LENGTH;
            entryBuffer.putInt(at, LogEntry.DESCRIPTOR);
            entryBuffer.putInt(at + 4, entryBuffer.getInt(sector + Layout.PAGE - 4));
            entryBuffer.putLong(at + 8, entryBuffer.getLong(sector));
            entryBuffer.putLong(at + 16, snapshot.get(i).position);
            entryBuffer.putLong(at + 24, sequence);
            entryBuffer.putInt(sector, LogEntry.DATA);
            entryBuffer.putInt(sector + 4, (int) (sequence >>> 32));
            entryBuffer.putInt(sector + Layout.PAGE - 4, (int) sequence);
        }
        entry.putHeader(entryBuffer, logId);
        CRC32C crc = new CRC32C();
        crc.update(entryBuffer.slice(0, entry.sectors() * Layout.PAGE));
        entryBuffer.putInt(4, (int) crc.getValue());

        long log = headers.current().logOffset();
        int before = Math.min(entry.sectors(), logSectors - nextSector);
        file.write(log + (long) nextSector * Layout.PAGE, entryMemory, 0, (long) before * Layout.PAGE);
        if (before < entry.sectors()) {
            file.write(log, entryMemory, (long) before * Layout.PAGE, (long) (entry.sectors() - before) * Layout.PAGE);
        }
        durability.modified();
        live.addLast(entry);
        nextSector = (nextSector + entry.sectors()) % logSectors;
        sequence++;
    }

    /** Writes the pages of the last entry to their places; false when the host has no space for them yet. */
    private boolean apply() throws IOException {
        int first = LogEntry.descriptorSectors(snapshot.size());
        try {
            for (int i = 0; i < snapshot.size(); i++) {
                int sector = (first + i) * Layout.PAGE;
                int at = LogEntry.HEADER_LENGTH + i * LogEntry.DESCRIPTOR_LENGTH;
                entryBuffer.putInt(sector + Layout.PAGE - 4, entryBuffer.getInt(at + 4));
                entryBuffer.putLong(sector, entryBuffer.getLong(at + 8));
                file.write(snapshot.get(i).position, entryMemory, sector, Layout.PAGE);
            }
        } catch (DiskFile.NoSpaceException e) {
            // The entry is durable, so the caller's flush holds. The pages stay dirty and go into the next entry too;
            // until they are applied the tail stays and the log fills up.
            return false;
        } catch (IOException e) {
            throw faults.poison(e);
        } finally {
            durability.modified();
        }
        appliedThrough = sequence - 1;
        return true;
    }

    private void release(List<Range> free) {
        for (Range range : free) {
            boolean hole = false;
            try {
                hole = file.punchHole(range.offset, range.length);
            } catch (IOException e) {
                // Only the host's space is lost; the range is zeroed when it is used again.
                hole = false;
            }
            durability.modified();
            if (hole) {
                punched.add(range);
            }
            space.release(range.offset, range.length);
        }
    }

    /**
     * Logs other changes than those of cached pages, alone in an entry, and applies them: for resizing. They are durable on
     * return. Nothing else may change metadata meanwhile.
     *
     * @param positions file offsets of pages
     * @param content the pages, one after the other
     */
    void writeThrough(List<Long> positions, byte[] content) {
        if (hasChanges()) {
            writeOut();
        }
        logLock.lock();
        try {
            snapshot.clear();
            for (int i = 0; i < positions.size(); i++) {
                snapshot.add(new MetadataPage(
                        positions.get(i), new java.util.concurrent.atomic.AtomicReferenceArray<>(1), 0));
            }
            faults.check();
            allocateEntry();
            if (logNamed) {
                force();
            } else {
                beginLog();
            }
            int sectors = LogEntry.descriptorSectors(positions.size());
            makeRoom(positions.size() + sectors);
            MemorySegment.copy(
                    MemorySegment.ofArray(content), 0, entryMemory, (long) sectors * Layout.PAGE, content.length);
            commitEntry(positions.size());
            if (!apply()) {
                throw faults.poison(new DiskFile.NoSpaceException("applying a logged change"));
            }
        } catch (IOException e) {
            throw faults.of(e);
        } finally {
            snapshot.clear();
            logLock.unlock();
        }
    }

    /** Changes DataWriteGuid: the size as a guest sees it is about to change. */
    void changeContentIdentifier() {
        logLock.lock();
        try {
            headers.update(headers.current().withDataWrite(nextContent()), durability);
        } catch (IOException e) {
            throw faults.of(e);
        } finally {
            logLock.unlock();
        }
    }
}
