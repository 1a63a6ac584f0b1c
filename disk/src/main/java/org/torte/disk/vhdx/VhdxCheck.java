package org.torte.disk.vhdx;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import org.torte.disk.CheckReport;
import org.torte.disk.CheckReport.Finding;
import org.torte.disk.CheckReport.Severity;
import org.torte.disk.DiskAccess;
import org.torte.disk.DiskException;
import org.torte.disk.DiskException.Kind;
import org.torte.disk.DiskFile;
import org.torte.disk.DiskFormat;
import org.torte.disk.DiskOptions;
import org.torte.disk.Durability;
import org.torte.disk.Faults;
import org.torte.disk.Identifiers;

/**
 * The strict checker: looks at a file as it will be after replay and reports what opening would tolerate too. It repairs
 * only what has a second, valid source: copies of headers and region tables, the replay of a valid log, and space that
 * nothing refers to at the end of the file. What two blocks share, or what lies outside the file, cannot be told apart
 * from content by a program.
 */
public final class VhdxCheck {
    private final List<Finding> findings = new ArrayList<>();
    private final boolean repair;
    private boolean copiesToRewrite;
    private long allocated;
    private long total;
    private long leaked;

    private VhdxCheck(boolean repair) {
        this.repair = repair;
    }

    /** Checks an image and whether it fits its parents; see {@link org.torte.disk.VirtualDisks#check}. */
    public static CheckReport check(Path path, DiskOptions options, boolean repair) {
        if (repair && options.access() != DiskAccess.READ_WRITE) {
            throw new IllegalArgumentException("repairing needs read-write access");
        }
        VhdxCheck check = new VhdxCheck(repair);
        DiskOptions looking = repair
                ? options
                : options.withAccess(
                        options.access() == DiskAccess.INSPECT ? DiskAccess.INSPECT : DiskAccess.READ_ONLY);
        String name;
        try (DiskFile file = options.storage().open(path, looking.access(), options.folders())) {
            name = file.name();
            check.inspect(file);
            if (repair && check.sound()) {
                check.repair(file, options);
            }
        } catch (IOException e) {
            throw new Faults(path.toString()).of(e);
        }
        if (options.openParents() && check.sound()) {
            check.chain(path, options);
        }
        return new CheckReport(name, DiskFormat.VHDX, check.findings, check.allocated, check.total, check.leaked);
    }

    private boolean sound() {
        return findings.stream()
                .noneMatch(f -> f.severity() == Severity.ERROR && f.repair().isEmpty());
    }

    private void add(Severity severity, String code, long offset, String message, String repairText) {
        if (findings.size() < CheckReport.MAXIMUM_FINDINGS) {
            findings.add(new Finding(severity, code, offset, message, repairText, repair && !repairText.isEmpty()));
        }
    }

    private void inspect(DiskFile file) throws IOException {
        try {
            VhdxImage.checkIdentifier(file);
            Headers headers = Headers.read(file);
            Header header = headers.current();
            for (long at : new long[] {Layout.HEADER_1, Layout.HEADER_2}) {
                if (Headers.at(file, at).isEmpty()) {
                    copiesToRewrite = true;
                    add(Severity.NOTE, "header.copy", at, "this copy of the header is damaged", "rewritten");
                }
            }
            VhdxImage.checkHeader(header);
            Optional<DiskFile> view = log(file, header);
            if (view.isEmpty()) {
                return;
            }
            regionCopies(view.get());
            VhdxImage.Opened opened = VhdxImage.structures(view.get(), header);
            blocks(view.get(), header, opened);
        } catch (BadImageException e) {
            add(Severity.ERROR, e.isUnsupported() ? "unsupported" : "structure", -1, e.problem(), "");
        } catch (java.io.EOFException e) {
            add(Severity.ERROR, "truncated", -1, "the file ends too early: " + e.getMessage(), "");
        }
    }

    private Optional<DiskFile> log(DiskFile file, Header header) throws IOException {
        if (header.logIsEmpty()) {
            return Optional.of(file);
        }
        try {
            DiskFile view = VhdxImage.replay(file, header);
            copiesToRewrite = true;
            add(
                    Severity.NOTE,
                    "log.pending",
                    header.logOffset(),
                    "the image was not closed, or is in use: its log waits for its replay",
                    "replayed");
            return Optional.of(view);
        } catch (BadImageException e) {
            add(Severity.ERROR, "log.damaged", header.logOffset(), e.problem(), "");
            return Optional.empty();
        }
    }

    private void regionCopies(DiskFile file) throws IOException {
        byte[] first = new byte[Layout.REGION_TABLE_SIZE];
        byte[] second = new byte[Layout.REGION_TABLE_SIZE];
        file.read(Layout.REGIONS_1, first);
        file.read(Layout.REGIONS_2, second);
        Optional<RegionTable> one = RegionTable.decode(first);
        Optional<RegionTable> two = RegionTable.decode(second);
        if (one.isPresent() != two.isPresent()) {
            copiesToRewrite = true;
            add(
                    Severity.ERROR,
                    "regions.copy",
                    one.isPresent() ? Layout.REGIONS_2 : Layout.REGIONS_1,
                    "this copy of the region table is damaged",
                    "copied from the other one");
        } else if (one.isPresent() && !one.equals(two)) {
            copiesToRewrite = true;
            add(
                    Severity.ERROR,
                    "regions.differ",
                    Layout.REGIONS_2,
                    "the two region tables are valid and differ",
                    "the first, which readers use, copied over the second");
        }
    }

    private void blocks(DiskFile file, Header header, VhdxImage.Opened opened) throws IOException {
        Geometry geometry = opened.geometry();
        long fileSize = file.size();
        total = geometry.blocks();
        BitSet used = new BitSet();
        claim(used, 0, Layout.FIRST_REGION);
        claim(used, header.logOffset(), header.logLength());
        for (RegionTable.Region region : opened.regions().regions()) {
            claim(used, region.offset(), region.length());
        }
        List<long[]> stale = new ArrayList<>();
        BitSet bitmaps = new BitSet();
        BitSet wanted = new BitSet();
        long table = opened.regions().find(Layout.BAT_REGION).orElseThrow().offset();
        long ratio = geometry.ratio();
        VhdxImage.scanTable(file, table, geometry, (index, entry) -> {
            boolean bitmap = geometry.isBitmap(index);
            long length;
            try {
                length = VhdxImage.checkEntry(geometry, index, entry, bitmap, fileSize);
            } catch (BadImageException e) {
                add(Severity.ERROR, "bat.entry", table + 8 * index, e.problem(), "");
                return;
            }
            int state = Layout.state(entry);
            long offset = Layout.offset(entry);
            if (bitmap && state == Layout.BITMAP_PRESENT) {
                bitmaps.set((int) (index / (ratio + 1)));
            }
            if (!bitmap && state == Layout.PARTIALLY_PRESENT) {
                wanted.set((int) (index / (ratio + 1)));
            }
            if (!bitmap && state >= Layout.FULLY_PRESENT) {
                allocated++;
            }
            if (length > 0 && state < Layout.FULLY_PRESENT) {
                if (stale.size() < 1 << 20) {
                    stale.add(new long[] {index, offset, length});
                }
            } else if (length > 0 && !claim(used, offset, length)) {
                add(
                        Severity.ERROR,
                        "bat.overlap",
                        table + 8 * index,
                        "entry " + index + " of the block table refers to space at " + offset
                                + " that something else uses too",
                        "");
            }
        });
        for (long[] range : stale) {
            if (!claim(used, range[1], range[2])) {
                add(
                        Severity.NOTE,
                        "bat.stale",
                        table + 8 * range[0],
                        "entry " + range[0] + " of the block table, which has no content, names space in use",
                        "");
            }
        }
        wanted.andNot(bitmaps);
        wanted.stream()
                .forEach(chunk -> add(
                        Severity.ERROR,
                        "bitmap.missing",
                        table + 8 * geometry.bitmapEntry(chunk),
                        "blocks are partially present and their sector bitmap " + chunk + " is not",
                        ""));
        leaks(used, fileSize);
    }

    private void leaks(BitSet used, long fileSize) {
        long units = (fileSize + Layout.MIB - 1) / Layout.MIB;
        long inside = Math.min(units, used.length()) - used.cardinality();
        long behind = Math.max(0, units - used.length());
        leaked = Math.max(0, inside + behind) * Layout.MIB;
        if (behind > 0) {
            copiesToRewrite = true;
            add(
                    Severity.LEAK,
                    "space.end",
                    used.length() * Layout.MIB,
                    behind + " MiB at the end of the file are not used",
                    "cut off");
        }
        if (inside > 0) {
            add(
                    Severity.LEAK,
                    "space.inside",
                    -1,
                    inside + " MiB between blocks are not used; new blocks will use them",
                    "");
        }
    }

    /** Whether none of the space was claimed before; limited to what a sound file can have. */
    private static boolean claim(BitSet used, long offset, long length) {
        int from = Math.toIntExact(offset / Layout.MIB);
        int to = Math.toIntExact((offset + length + Layout.MIB - 1) / Layout.MIB);
        int taken = used.nextSetBit(from);
        boolean free = taken < 0 || taken >= to;
        used.set(from, to);
        return free;
    }

    private void repair(DiskFile file, DiskOptions options) throws IOException {
        if (!copiesToRewrite) {
            return;
        }
        Faults faults = new Faults(file.name());
        Durability durability = new Durability(file, faults);
        Headers headers = Headers.read(file);
        UUID fresh = Identifiers.random(options.random());
        headers.update(headers.current().withFileWrite(fresh), durability);
        if (!headers.current().logIsEmpty()) {
            VhdxImage.replay(file, headers.current()).apply();
            durability.modified();
            durability.force();
            headers.update(headers.current().withLog(Layout.NIL), durability);
        }
        VhdxImage.Opened opened = VhdxImage.structures(file, headers.current());
        byte[] regions = opened.regions().encode();
        file.write(Layout.REGIONS_1, regions);
        durability.modified();
        durability.force();
        file.write(Layout.REGIONS_2, regions);
        SpaceMap space = VhdxImage.claimed(file, headers.current(), opened, durability);
        if (space.usedEnd() < file.size()) {
            file.truncate(space.usedEnd());
        }
        durability.modified();
        durability.force();
    }

    private void chain(Path path, DiskOptions options) {
        try (VhdxDisk disk = VhdxDisk.open(path, options.withAccess(DiskAccess.READ_ONLY))) {
            if (disk.size() < disk.parent().map(p -> p.size()).orElse(0L)) {
                add(Severity.NOTE, "parent.size", -1, "the parent is larger than this disk", "");
            }
        } catch (DiskException e) {
            boolean parent =
                    e.kind() == Kind.PARENT_MISSING || e.kind() == Kind.PARENT_CHANGED || e.kind() == Kind.PARENT_CYCLE;
            add(Severity.ERROR, parent ? "parent.linkage" : "parent.open", -1, String.valueOf(e.getMessage()), "");
        }
    }
}
