package org.torte.disk.vhdx;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import org.torte.disk.DiskAccess;
import org.torte.disk.DiskException;
import org.torte.disk.DiskException.Kind;
import org.torte.disk.DiskFile;
import org.torte.disk.DiskFormat;
import org.torte.disk.DiskInfo;
import org.torte.disk.DiskOptions;
import org.torte.disk.DiskType;
import org.torte.disk.Durability;
import org.torte.disk.Faults;
import org.torte.disk.Identifiers;

/**
 * One VHDX file: its structures, validated, and its block table. Of a chain each file is one image; the images of the
 * parents are only read. Opening writes nothing before all of the file that opening looks at has proved sound.
 */
final class VhdxImage implements AutoCloseable {
    private static final int SCAN_BYTES = 256 << 10;

    final DiskFile file;
    final Faults faults;
    final Durability durability;
    final Headers headers;
    final SpaceMap space;
    final MetadataWriter writer;
    final PageCache cache;
    private final boolean inUse;
    private volatile RegionTable regions;
    private volatile Metadata metadata;
    volatile Geometry geometry;
    /** log2 of the block size and of the payload entries for one bitmap. */
    final int blockShift;

    final int ratioShift;

    private VhdxImage(Opened opened, DiskFile file, Faults faults, Headers headers, boolean inUse, DiskOptions options)
            throws IOException {
        this.file = file;
        this.faults = faults;
        this.headers = headers;
        this.inUse = inUse;
        this.regions = opened.regions;
        this.metadata = opened.metadata;
        this.geometry = opened.geometry;
        this.blockShift = Integer.numberOfTrailingZeros(geometry.blockSize());
        this.ratioShift = Long.numberOfTrailingZeros(geometry.ratio());
        this.durability = new Durability(file, faults);
        this.space = new SpaceMap(file, durability);
        this.cache = new PageCache(file, geometry, table().offset(), options.metadataCache());
        this.writer = new MetadataWriter(file, headers, space, durability, faults, options.random(), file.size());
    }

    /** What the structures say. */
    record Opened(RegionTable regions, Metadata metadata, Geometry geometry) {}

    /** Opens a file, which it owns from now on and closes when it cannot be opened. */
    static VhdxImage open(DiskFile file, DiskOptions options) {
        try {
            return read(file, options);
        } catch (DiskException e) {
            throw closing(file, e);
        }
    }

    /** The same, but a file that cannot be opened stays with the caller. */
    static VhdxImage read(DiskFile file, DiskOptions options) {
        Faults faults = new Faults(file.name());
        try {
            return opened(file, options, faults);
        } catch (IOException e) {
            throw faults.of(e);
        } catch (BadImageException e) {
            throw of(file.name(), e);
        }
    }

    private static DiskException closing(DiskFile file, DiskException failure) {
        try {
            file.close();
        } catch (IOException e) {
            failure.addSuppressed(e);
        }
        return failure;
    }

    private static DiskException of(String image, BadImageException e) {
        String remedy = e.isUnsupported()
                ? "convert it with the software that made it"
                : "check it with 'torte vhd test' or restore it from a backup";
        return new DiskException(e.isUnsupported() ? Kind.UNSUPPORTED : Kind.DAMAGED, image, e.problem(), remedy, e);
    }

    static DiskException damaged(String image, String problem) {
        return of(image, new BadImageException(problem));
    }

    private static VhdxImage opened(DiskFile file, DiskOptions options, Faults faults) throws IOException {
        checkIdentifier(file);
        Headers headers = Headers.read(file);
        Header header = headers.current();
        checkHeader(header);
        boolean writable = options.access() == DiskAccess.READ_WRITE;
        Optional<ReplayedFile> replayed = header.logIsEmpty() ? Optional.empty() : Optional.of(replay(file, header));
        DiskFile view = replayed.isPresent() ? replayed.get() : file;
        Opened opened = structures(view, header);
        if (!writable) {
            return new VhdxImage(opened, view, faults, headers, replayed.isPresent(), options);
        }
        // All of the block table is looked at before the first write: with two blocks in one place, or one beyond the
        // end, writing would destroy content.
        SpaceMap probe = new SpaceMap(view, new Durability(view, faults));
        claimAll(view, header, opened, probe);
        if (replayed.isPresent()) {
            Durability durability = new Durability(file, faults);
            headers.update(headers.current().withFileWrite(Identifiers.random(options.random())), durability);
            replayed.get().apply();
            durability.modified();
            durability.force();
            headers.update(headers.current().withLog(Layout.NIL), durability);
            durability.force();
        }
        VhdxImage image = new VhdxImage(opened, file, faults, headers, false, options);
        claimAll(file, header, opened, image.space);
        image.space.setFileSize(Math.max(Layout.roundUp(file.size(), Layout.MIB), image.space.usedEnd()));
        return image;
    }

    static void checkIdentifier(DiskFile file) throws IOException {
        byte[] identifier = new byte[8];
        if (file.size() < Layout.FIRST_REGION) {
            throw new BadImageException("it is not a VHDX file: it has only " + file.size() + " bytes");
        }
        file.read(Layout.FILE_IDENTIFIER, identifier);
        if (!"vhdxfile".equals(new String(identifier, java.nio.charset.StandardCharsets.US_ASCII))) {
            throw new BadImageException("it is not a VHDX file");
        }
    }

    static void checkHeader(Header header) {
        if (header.version() != 1) {
            throw BadImageException.unsupported("it has version " + header.version() + " of the format");
        }
        if (!header.logIsEmpty() && header.logVersion() != 0) {
            throw BadImageException.unsupported("its log has version " + header.logVersion());
        }
        long offset = header.logOffset();
        if (offset % Layout.MIB != 0
                || offset < Layout.FIRST_REGION
                || offset > Layout.MAXIMUM_FILE
                || header.logLength() % Layout.MIB != 0
                || header.logLength() == 0) {
            throw new BadImageException(
                    "its log has " + header.logLength() + " bytes at " + Long.toUnsignedString(offset));
        }
    }

    static ReplayedFile replay(DiskFile file, Header header) throws IOException {
        LogScan scan = new LogScan(file, header);
        LogScan.Result found = scan.scan();
        if (found.active().isEmpty()) {
            throw new BadImageException("its log is damaged: it has no valid sequence of entries");
        }
        long flushed = found.active().getLast().flushed();
        if (Long.compareUnsigned(flushed, file.size()) > 0) {
            throw new BadImageException("it was cut off: its log says that the file had "
                    + Long.toUnsignedString(flushed) + " bytes, and it has " + file.size());
        }
        return new ReplayedFile(file, header, scan, found.active());
    }

    /** Region table and metadata, validated. */
    static Opened structures(DiskFile file, Header header) throws IOException {
        byte[] bytes = new byte[Layout.REGION_TABLE_SIZE];
        file.read(Layout.REGIONS_1, bytes);
        Optional<RegionTable> table = RegionTable.decode(bytes);
        if (table.isEmpty()) {
            file.read(Layout.REGIONS_2, bytes);
            table = RegionTable.decode(bytes);
        }
        RegionTable regions = table.orElseThrow(() -> new BadImageException("both of its region tables are damaged"));
        checkRegions(regions, header, file.size());
        RegionTable.Region items = region(regions, Layout.METADATA_REGION, "metadata");
        Metadata metadata = Metadata.decode(items.length(), (offset, length) -> {
            byte[] content = new byte[length];
            file.read(items.offset() + offset, content);
            return content;
        });
        Geometry geometry =
                new Geometry(metadata.size(), metadata.blockSize(), metadata.logicalSectorSize(), metadata.hasParent());
        RegionTable.Region blocks = region(regions, Layout.BAT_REGION, "block table");
        if (blocks.length() < geometry.tableLength()) {
            throw new BadImageException(
                    "its block table has " + blocks.length() + " bytes and needs " + geometry.tableLength());
        }
        return new Opened(regions, metadata, geometry);
    }

    private static RegionTable.Region region(RegionTable regions, UUID id, String name) {
        return regions.find(id).orElseThrow(() -> new BadImageException("it has no " + name + " region"));
    }

    private static void checkRegions(RegionTable regions, Header header, long fileSize) {
        List<RegionTable.Region> all = new ArrayList<>(regions.regions());
        all.add(new RegionTable.Region(Layout.NIL, header.logOffset(), header.logLength(), true));
        for (int i = 0; i < all.size(); i++) {
            RegionTable.Region region = all.get(i);
            boolean known = region.id().equals(Layout.BAT_REGION)
                    || region.id().equals(Layout.METADATA_REGION)
                    || i == all.size() - 1;
            if (region.required() && !known) {
                throw BadImageException.unsupported("it needs the unknown region " + region.id());
            }
            String name = region.id().equals(Layout.NIL) ? "its log" : "its region " + region.id();
            if (region.offset() % Layout.MIB != 0
                    || region.offset() < Layout.FIRST_REGION
                    || region.offset() > Layout.MAXIMUM_FILE
                    || region.length() % Layout.MIB != 0
                    || region.length() == 0) {
                throw new BadImageException(
                        name + " has " + region.length() + " bytes at " + Long.toUnsignedString(region.offset()));
            }
            if (known && region.offset() + region.length() > fileSize) {
                throw new BadImageException(name + " ends at " + (region.offset() + region.length())
                        + ", beyond the end of the file at " + fileSize);
            }
            for (RegionTable.Region other : all.subList(0, i)) {
                if (other.id().equals(region.id())) {
                    throw new BadImageException(name + " is there twice");
                }
                if (Layout.overlap(region.offset(), region.length(), other.offset(), other.length())) {
                    throw new BadImageException(name + " overlaps the region " + other.id());
                }
            }
        }
    }

    /** Sees every entry of the block table that is not zero. */
    interface EntryVisitor {
        void visit(long index, long entry);
    }

    /** Goes through the block table without keeping it; holes of the file are skipped. */
    static void scanTable(DiskFile file, long offset, Geometry geometry, EntryVisitor visitor) throws IOException {
        long end = offset + geometry.tableLength();
        byte[] bytes = new byte[(int) Math.min(SCAN_BYTES, geometry.tableLength())];
        ByteBuffer in = Layout.buffer(bytes);
        long at = offset;
        while (at < end) {
            long data = file.nextData(at);
            if (data >= end) {
                return;
            }
            at = Math.max(at, data & -8L);
            int length = (int) Math.min(bytes.length, end - at);
            file.read(at, java.lang.foreign.MemorySegment.ofArray(bytes), 0, length);
            for (int i = 0; i < length; i += 8) {
                long entry = in.getLong(i);
                if (entry != 0) {
                    visitor.visit((at + i - offset) / 8, entry);
                }
            }
            at += length;
        }
    }

    /** The space that everything in a file takes; the file was checked before. */
    static SpaceMap claimed(DiskFile file, Header header, Opened opened, Durability durability) throws IOException {
        SpaceMap space = new SpaceMap(file, durability);
        claimAll(file, header, opened, space);
        return space;
    }

    private static void claimAll(DiskFile file, Header header, Opened opened, SpaceMap space) throws IOException {
        long fileSize = file.size();
        space.claim(0, Layout.FIRST_REGION);
        space.claim(header.logOffset(), header.logLength());
        for (RegionTable.Region region : opened.regions.regions()) {
            space.claim(region.offset(), region.length());
        }
        long table = opened.regions.find(Layout.BAT_REGION).orElseThrow().offset();
        List<long[]> stale = new ArrayList<>();
        scanTable(file, table, opened.geometry, (index, entry) -> {
            boolean bitmap = opened.geometry.isBitmap(index);
            long length = checkEntry(opened.geometry, index, entry, bitmap, fileSize);
            if (length == 0) {
                return;
            }
            int state = Layout.state(entry);
            if (!bitmap && (state == Layout.UNDEFINED || state == Layout.UNMAPPED)) {
                // The space still belongs to the block, unless somebody else has it.
                if (stale.size() < 1 << 20) {
                    stale.add(new long[] {Layout.offset(entry), length});
                }
            } else if (!space.claim(Layout.offset(entry), length)) {
                throw new BadImageException("the block table's entry " + index + " refers to space at "
                        + Layout.offset(entry) + " that is in use already");
            }
        });
        for (long[] range : stale) {
            space.claim(range[0], range[1]);
        }
    }

    /**
     * Checks an entry of the block table.
     *
     * @return the bytes of the file that it refers to
     * @throws BadImageException with what is wrong
     */
    static long checkEntry(Geometry geometry, long index, long entry, boolean bitmap, long fileSize) {
        int state = Layout.state(entry);
        long offset = Layout.offset(entry);
        boolean valid = bitmap
                ? state == Layout.NOT_PRESENT || state == Layout.BITMAP_PRESENT
                : state <= Layout.UNMAPPED
                        || state == Layout.FULLY_PRESENT
                        || (state == Layout.PARTIALLY_PRESENT && geometry.differencing());
        if (!valid || !Layout.reservedClear(entry)) {
            throw new BadImageException(
                    "the block table's entry " + index + " is invalid: 0x" + Long.toHexString(entry));
        }
        boolean present = state >= Layout.FULLY_PRESENT;
        boolean stale = !bitmap && (state == Layout.UNDEFINED || state == Layout.UNMAPPED) && offset != 0;
        if (!present && !stale) {
            return 0;
        }
        long length = bitmap ? Layout.MIB : geometry.blockSize();
        if (offset < Layout.FIRST_REGION
                || offset > Layout.MAXIMUM_FILE
                || (present && offset + length > Layout.roundUp(fileSize, Layout.MIB))) {
            throw new BadImageException("the block table's entry " + index + " refers to "
                    + Long.toUnsignedString(offset) + ", outside the file of " + fileSize + " bytes");
        }
        return length;
    }

    // ------------------------------------------------------------------ while it is open

    RegionTable regions() {
        return regions;
    }

    RegionTable.Region table() {
        return regions.find(Layout.BAT_REGION).orElseThrow();
    }

    Metadata metadata() {
        return metadata;
    }

    long size() {
        return geometry.size();
    }

    boolean readOnly() {
        return file.readOnly();
    }

    /** Takes over new structures after a resize. */
    void changed(RegionTable newRegions, Metadata newMetadata, Geometry newGeometry) {
        regions = newRegions;
        metadata = newMetadata;
        geometry = newGeometry;
    }

    /** Reads the metadata again after an edit that left the geometry as it was. */
    void reloadMetadata() throws IOException {
        metadata = structures(file, headers.current()).metadata();
    }

    private long payloadIndex(long block) {
        return block + (block >>> ratioShift);
    }

    long bitmapIndex(long chunk) {
        return (chunk << ratioShift) + chunk + (1L << ratioShift);
    }

    /** The block table entry of a payload block. */
    long entry(long block) {
        return checked(payloadIndex(block), false);
    }

    /** The block table entry of a bitmap. */
    long bitmapEntry(long chunk) {
        return checked(bitmapIndex(chunk), true);
    }

    /** An entry by its place in the table. */
    long rawEntry(long index) {
        return checked(index, geometry.isBitmap(index));
    }

    private long checked(long index, boolean bitmap) {
        try {
            long entry = cache.table(index).get((int) index & (MetadataPage.WORDS - 1));
            // One opened for writing was checked as a whole.
            if (entry != 0 && file.readOnly()) {
                checkCheaply(index, entry, bitmap);
            }
            return entry;
        } catch (IOException e) {
            throw faults.of(e);
        }
    }

    private void checkCheaply(long index, long entry, boolean bitmap) {
        int state = Layout.state(entry);
        boolean present = state >= Layout.FULLY_PRESENT;
        if (!Layout.reservedClear(entry)
                || state == 4
                || state == 5
                || (state == Layout.PARTIALLY_PRESENT && (bitmap || !geometry.differencing()))
                || (present
                        && (Layout.offset(entry) < Layout.FIRST_REGION
                                || Layout.offset(entry) > Layout.MAXIMUM_FILE))) {
            throw damaged(
                    file.name(), "the block table's entry " + index + " is invalid: 0x" + Long.toHexString(entry));
        }
    }

    MetadataPage pinEntry(long block) throws IOException {
        return cache.pinTable(payloadIndex(block));
    }

    int slot(long block) {
        return (int) payloadIndex(block) & (MetadataPage.WORDS - 1);
    }

    /**
     * Looks at the sector bitmap.
     *
     * @return the length in bytes of the run of equal bits from {@code offset} of the disk on, at most {@code length}
     *     and not crossing a page of the bitmap; negative when the sectors are not present in this image
     */
    long bitmapRun(long offset, long length) {
        Geometry g = geometry;
        long sector = offset / g.sectorSize();
        long chunk = sector >>> 23;
        long bitmap = bitmapEntry(chunk);
        if (Layout.state(bitmap) != Layout.BITMAP_PRESENT) {
            throw damaged(file.name(), "the block at " + offset + " is partially present and has no sector bitmap");
        }
        int inChunk = (int) (sector & (1 << 23) - 1);
        try {
            MetadataPage page = cache.bitmap(chunk, inChunk / (Layout.PAGE * 8), Layout.offset(bitmap));
            int bit = inChunk % (Layout.PAGE * 8);
            int most = (int) Math.min(length / g.sectorSize(), Layout.PAGE * 8 - bit);
            boolean present = (page.get(bit >>> 6) >>> bit & 1) != 0;
            int run = 0;
            while (run < most) {
                int at = bit + run;
                long word = page.get(at >>> 6) >>> at;
                long different = present ? ~word : word;
                int equal = Math.min(Long.numberOfTrailingZeros(different), 64 - (at & 63));
                run += equal;
                if (equal < 64 - (at & 63)) {
                    break;
                }
            }
            run = Math.min(run, most);
            return (present ? 1L : -1L) * run * g.sectorSize();
        } catch (IOException e) {
            throw faults.of(e);
        }
    }

    DiskInfo info() {
        try {
            Metadata m = metadata;
            return new DiskInfo(
                    file.name(),
                    DiskFormat.VHDX,
                    m.hasParent() ? DiskType.DIFFERENCING : m.leaveAllocated() ? DiskType.FIXED : DiskType.DYNAMIC,
                    geometry.size(),
                    file.size(),
                    file.allocatedSize(),
                    m.blockSize(),
                    m.logicalSectorSize(),
                    m.physicalSectorSize(),
                    m.identifier(),
                    headers.current().dataWrite(),
                    m.locator().flatMap(VhdxImage::parentName),
                    inUse);
        } catch (IOException e) {
            throw faults.of(e);
        }
    }

    private static Optional<String> parentName(ParentLocator locator) {
        return locator.get(ParentLocator.RELATIVE_PATH)
                .or(() -> locator.get(ParentLocator.VOLUME_PATH))
                .or(() -> locator.get(ParentLocator.ABSOLUTE_PATH));
    }

    /** Makes everything durable and marks the file as properly closed; it may be written to again. */
    void settle() {
        if (writer.started()) {
            writer.finish();
        } else {
            durability.force();
        }
    }

    @Override
    public void close() {
        try (file) {
            if (!file.readOnly() && !faults.poisoned()) {
                settle();
            }
        } catch (IOException e) {
            throw faults.of(e);
        }
    }
}
