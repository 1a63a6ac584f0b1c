package org.torte.disk.vhdx;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.torte.base.RandomSource;
import org.torte.disk.CreateOptions;
import org.torte.disk.DiskException;
import org.torte.disk.DiskException.Kind;
import org.torte.disk.DiskFile;
import org.torte.disk.DiskOptions;
import org.torte.disk.DiskSize;
import org.torte.disk.DiskType;
import org.torte.disk.Identifiers;
import org.torte.disk.NewFile;

/**
 * Makes VHDX files, laid out as Windows does: log at 1 MiB, metadata at 2 MiB, block table at 3 MiB, then blocks. A
 * block table of zeros means that nothing is there, so it stays a hole; the headers come last, so that a file whose
 * making was interrupted is not taken for a disk.
 */
public final class VhdxCreate {
    private static final int DYNAMIC_BLOCK = 32 << 20;
    private static final int OTHER_BLOCK = 2 << 20;
    private static final int TABLE_PART = 1 << 20;

    private VhdxCreate() {}

    /** Makes an image; see {@link org.torte.disk.VirtualDisks#create}. */
    public static void create(Path path, CreateOptions create, DiskOptions options) {
        Plan plan = create.type() == DiskType.DIFFERENCING
                ? differencing(path, create, options)
                : standalone(path, create, options);
        NewFile.make(path, options, file -> write(file, plan, create.type() == DiskType.FIXED, options.random()));
    }

    /**
     * Makes a differencing image of a disk that may be in use: as large as that is now, and fitting to it as long as its
     * content identifier stays the same. Durable on return.
     */
    public static void child(Path path, Path parentPath, VhdxDisk open, DiskOptions options) {
        Plan plan = differencing(path, CreateOptions.differencing(parentPath), parentPath, open, options);
        NewFile.make(path, options, file -> write(file, plan, false, options.random()));
    }

    private record Plan(Metadata metadata) {}

    private static Plan standalone(Path path, CreateOptions create, DiskOptions options) {
        boolean fixed = create.type() == DiskType.FIXED;
        int logical = create.logicalSectorSize() == 0 ? 512 : create.logicalSectorSize();
        int physical = create.physicalSectorSize() == 0 ? 4096 : create.physicalSectorSize();
        int block = create.blockSize() != 0 ? create.blockSize() : fixed ? OTHER_BLOCK : DYNAMIC_BLOCK;
        return plan(path, block, fixed, create.size(), logical, physical, Optional.empty(), options.random());
    }

    private static Plan differencing(Path path, CreateOptions create, DiskOptions options) {
        Path parentPath = create.parent()
                .orElseThrow(() -> invalid(path, "a differencing disk needs a parent", "name its parent"));
        try (VhdxDisk open = VhdxDisk.open(
                parentPath,
                options.withAccess(org.torte.disk.DiskAccess.READ_ONLY).withOpenParents(true))) {
            return differencing(path, create, parentPath, open, options);
        }
    }

    private static Plan differencing(
            Path path, CreateOptions create, Path parentPath, VhdxDisk open, DiskOptions options) {
        Path child = options.storage().resolveNew(path, options.folders());
        Path parent = options.storage().resolve(parentPath, options.folders());
        Metadata of = open.image().metadata();
        int logical = create.logicalSectorSize() == 0 ? of.logicalSectorSize() : create.logicalSectorSize();
        if (logical != of.logicalSectorSize()) {
            throw invalid(path, "its sectors must be as large as its parent's", "leave the sector size out");
        }
        int physical = create.physicalSectorSize() == 0 ? of.physicalSectorSize() : create.physicalSectorSize();
        ParentLocator locator =
                VhdxChain.locate(child, parent, open.image().headers.current().dataWrite());
        return plan(
                path,
                create.blockSize() == 0 ? OTHER_BLOCK : create.blockSize(),
                false,
                create.size() == 0 ? open.size() : create.size(),
                logical,
                physical,
                Optional.of(locator),
                options.random());
    }

    private static Plan plan(
            Path path,
            int block,
            boolean fixed,
            long size,
            int logical,
            int physical,
            Optional<ParentLocator> locator,
            RandomSource random) {
        if (logical != 512 && logical != 4096 || physical != 512 && physical != 4096) {
            throw invalid(path, "sectors have 512 or 4096 bytes", "choose one of these sizes");
        }
        checkSize(path.toString(), size, logical);
        if (block < Layout.MINIMUM_BLOCK || block > Layout.MAXIMUM_BLOCK || Integer.bitCount(block) != 1) {
            throw invalid(path, "the block size must be a power of two from 1 to 256 MiB", "choose such a size");
        }
        return new Plan(new Metadata(
                block,
                fixed,
                locator.isPresent(),
                size,
                Identifiers.random(random),
                logical,
                physical,
                locator,
                List.of()));
    }

    static void checkSize(String image, long size, int sectorSize) {
        DiskSize.check(
                image,
                size,
                sectorSize,
                Layout.MAXIMUM_SIZE,
                "a VHDX cannot be larger than 64 TiB",
                "choose a smaller size");
    }

    private static DiskException invalid(Path path, String problem, String remedy) {
        return new DiskException(Kind.INVALID, path.toString(), problem, remedy);
    }

    private static void write(DiskFile file, Plan plan, boolean fixed, RandomSource random) throws IOException {
        Metadata metadata = plan.metadata;
        Geometry geometry =
                new Geometry(metadata.size(), metadata.blockSize(), metadata.logicalSectorSize(), metadata.hasParent());
        long table = 3 * Layout.MIB;
        long tableLength = Layout.roundUp(geometry.tableLength(), Layout.MIB);
        long data = table + tableLength;
        long end = fixed ? data + geometry.blocks() * geometry.blockSize() : data;
        file.truncate(end);
        if (fixed) {
            file.allocate(0, end);
            writeFixedTable(file, geometry, table, data);
        } else {
            // The log and the metadata are always written; reserving their space now keeps a flush from failing later.
            file.allocate(0, table);
        }
        byte[] identifier = new byte[520];
        System.arraycopy("vhdxfile".getBytes(StandardCharsets.US_ASCII), 0, identifier, 0, 8);
        byte[] creator = "Torte 0.1".getBytes(StandardCharsets.UTF_16LE);
        System.arraycopy(creator, 0, identifier, 8, creator.length);
        file.write(Layout.FILE_IDENTIFIER, identifier);
        byte[] regions = new RegionTable(List.of(
                        new RegionTable.Region(Layout.BAT_REGION, table, tableLength, true),
                        new RegionTable.Region(Layout.METADATA_REGION, 2 * Layout.MIB, Layout.MIB, true)))
                .encode();
        file.write(Layout.REGIONS_1, regions);
        file.write(Layout.REGIONS_2, regions);
        file.write(2 * Layout.MIB, metadata.encode());
        file.force();
        Header header = new Header(
                1,
                Identifiers.random(random),
                Identifiers.random(random),
                Layout.NIL,
                0,
                1,
                Layout.MIB,
                Layout.FIRST_REGION);
        file.write(Layout.HEADER_1, header.encode());
        file.write(Layout.HEADER_2, header.withSequence(2).encode());
        file.force();
    }

    private static void writeFixedTable(DiskFile file, Geometry geometry, long table, long data) throws IOException {
        byte[] part = new byte[TABLE_PART];
        java.nio.ByteBuffer out = Layout.buffer(part);
        long entries = geometry.entries();
        for (long first = 0; first < entries; first += TABLE_PART / 8) {
            int count = (int) Math.min(TABLE_PART / 8, entries - first);
            for (int i = 0; i < count; i++) {
                long entry = first + i;
                long value = geometry.isBitmap(entry)
                        ? 0
                        : Layout.entry(Layout.FULLY_PRESENT, data + geometry.blockOf(entry) * geometry.blockSize());
                out.putLong(8 * i, value);
            }
            file.write(table + first * 8, java.lang.foreign.MemorySegment.ofArray(part), 0, count * 8L);
        }
    }
}
