package org.torte.disk.vhd;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.torte.disk.CheckReport;
import org.torte.disk.CheckReport.Finding;
import org.torte.disk.CheckReport.Severity;
import org.torte.disk.DiskAccess;
import org.torte.disk.DiskException;
import org.torte.disk.DiskFile;
import org.torte.disk.DiskFormat;
import org.torte.disk.DiskOptions;
import org.torte.disk.Durability;
import org.torte.disk.Faults;
import org.torte.disk.VirtualDisk;

/** Checks the structures of an image, and its link to the parent. */
final class VhdCheck {
    private final Path path;
    private final DiskOptions options;
    private final boolean repair;
    private final List<Finding> findings = new ArrayList<>();
    private long allocated;
    private long total;
    private long leaked;

    private VhdCheck(Path path, DiskOptions options, boolean repair) {
        this.path = path;
        this.options = options;
        this.repair = repair;
    }

    static CheckReport run(Path path, DiskOptions options, boolean repair) {
        return new VhdCheck(path, options, repair).check();
    }

    private CheckReport check() {
        Path real = options.storage().resolve(path, options.folders());
        DiskAccess access = repair ? DiskAccess.READ_WRITE : options.access();
        if (!repair && access == DiskAccess.READ_WRITE) {
            access = DiskAccess.READ_ONLY;
        }
        boolean differencing = false;
        try (DiskFile file = options.storage().open(real, access, options.folders())) {
            VhdLayout layout = VhdLayout.read(file);
            differencing = layout.footer().type() == VhdFooter.DIFFERENCING;
            footers(layout);
            if (layout.header() != null) {
                blocks(layout);
                locators(layout);
            } else if (layout.footer().pendingZero() != 0) {
                add(
                        Severity.NOTE,
                        "footer.growing",
                        layout.footer().pendingZero(),
                        "it was growing when it was last used",
                        "finish it",
                        repair);
                if (repair) {
                    new FixedVhd(layout);
                }
            }
        } catch (DiskException e) {
            if (e.kind() != DiskException.Kind.DAMAGED && e.kind() != DiskException.Kind.UNSUPPORTED) {
                throw e;
            }
            add(Severity.ERROR, "image.damaged", -1, String.valueOf(e.getMessage()), "", false);
        } catch (IOException e) {
            DiskException shown = new Faults(real.toString()).of(e);
            add(Severity.ERROR, "image.unreadable", -1, String.valueOf(shown.getMessage()), "", false);
        }
        if (differencing && options.openParents()) {
            parent(real);
        }
        return new CheckReport(real.toString(), DiskFormat.VHD, findings, allocated, total, leaked);
    }

    private void add(Severity severity, String code, long offset, String message, String fix, boolean repaired) {
        if (findings.size() < CheckReport.MAXIMUM_FINDINGS) {
            findings.add(new Finding(severity, code, offset, message, fix, repaired));
        }
    }

    private void footers(VhdLayout layout) throws IOException {
        VhdFooter footer = layout.footer();
        boolean fixed = footer.type() == VhdFooter.FIXED;
        if (!layout.endFooter()) {
            String fix =
                    fixed ? "take back the growth that was interrupted" : "write it again from the copy at the start";
            add(
                    Severity.ERROR,
                    "footer.missing",
                    layout.footerAt(),
                    "the footer at the end is missing or damaged",
                    fix,
                    repair && blocksSound(layout));
        }
        if (!fixed && !layout.copy()) {
            add(
                    Severity.ERROR,
                    "footer.copy",
                    0,
                    "the copy of the footer at the start is missing, damaged or different",
                    "write it again from the footer at the end",
                    repair && blocksSound(layout));
        }
        if (layout.fileSize() % VhdFooter.SECTOR != 0) {
            add(
                    Severity.NOTE,
                    "file.length",
                    layout.fileSize(),
                    "the file does not end at a multiple of 512 bytes",
                    "",
                    false);
        }
        if (footer.diskSize() != footer.currentSize()) {
            add(
                    Severity.NOTE,
                    "footer.geometry",
                    -1,
                    "its creator means the size of the geometry, " + footer.diskSize() + " bytes",
                    "",
                    false);
        }
        if (!repair) {
            return;
        }
        if (fixed && !layout.endFooter()) {
            new FixedVhd(layout);
        } else if (!fixed && blocksSound(layout)) {
            // Writes both footers and drops what lies after the last block.
            Durability durability =
                    new Durability(layout.file(), new Faults(layout.file().name()));
            SpaceScan.of(layout, layout.table(), durability);
        }
    }

    private static boolean blocksSound(VhdLayout layout) throws IOException {
        if (layout.header() == null) {
            return true;
        }
        long end = 0;
        for (SpaceScan.Used used : SpaceScan.used(layout, layout.table())) {
            if (used.start() < end || used.end() > layout.fileSize()) {
                return false;
            }
            end = used.end();
        }
        return true;
    }

    private void blocks(VhdLayout layout) throws IOException {
        int[] entries = layout.table();
        total = entries.length;
        long before = 0;
        int beforeBlock = -1;
        for (SpaceScan.Used used : SpaceScan.used(layout, entries)) {
            String what = used.block() < 0 ? "metadata" : "block " + used.block();
            allocated += used.block() < 0 ? 0 : 1;
            if (used.end() > layout.fileSize()) {
                add(
                        Severity.ERROR,
                        "bat.beyond-end",
                        used.start(),
                        what + " lies beyond the end of the file",
                        "",
                        false);
            } else if (used.start() < before) {
                String other = beforeBlock < 0 ? "metadata" : "block " + beforeBlock;
                add(Severity.ERROR, "bat.overlap", used.start(), what + " overlaps " + other, "", false);
            }
            if (used.end() >= before) {
                before = used.end();
                beforeBlock = used.block();
            }
        }
        long slack = layout.footerAt() - DynamicHeader.roundUp(before, BlockSpace.ALIGNMENT);
        if (layout.endFooter() && slack > 0) {
            add(
                    Severity.LEAK,
                    "file.slack",
                    before,
                    slack + " bytes after the last block are not in use",
                    "cut them off",
                    repair && blocksSound(layout));
        }
        long gaps = SpaceScan.gaps(SpaceScan.used(layout, entries), layout.dynamic())
                        .size()
                * (long) layout.dynamic().blockSize();
        leaked = gaps + Math.max(0, slack);
        if (gaps > 0) {
            add(Severity.LEAK, "file.gaps", -1, gaps + " bytes between blocks are not in use", "", false);
        }
    }

    private void locators(VhdLayout layout) throws IOException {
        if (layout.footer().type() != VhdFooter.DIFFERENCING) {
            return;
        }
        for (DynamicHeader.Locator locator : layout.dynamic().locators()) {
            if (locator.length() <= 0
                    || locator.offset() > layout.fileSize() - locator.length()
                    || locator.offset() < 0) {
                add(
                        Severity.ERROR,
                        "locator.place",
                        locator.offset(),
                        "a path of the parent lies outside the file",
                        "name the parent with 'torte vhd reconnect'",
                        false);
            }
        }
        if (ParentLink.read(layout.file(), layout.dynamic()).isEmpty()) {
            add(Severity.NOTE, "locator.none", -1, "no path of the parent that this host understands", "", false);
        }
    }

    private void parent(Path real) {
        DiskAccess access = options.access() == DiskAccess.INSPECT ? DiskAccess.INSPECT : DiskAccess.READ_ONLY;
        try (VirtualDisk disk = VhdImages.open(real, options.withAccess(access))) {
            disk.parent().ifPresent(p -> {
                if (p.size() != disk.size()) {
                    add(Severity.NOTE, "parent.size", -1, "its parent has " + p.size() + " bytes", "", false);
                }
            });
        } catch (DiskException e) {
            if (e.kind() == DiskException.Kind.DAMAGED && !findings.isEmpty()) {
                return;
            }
            add(
                    Severity.ERROR,
                    "parent." + e.kind().name().toLowerCase(java.util.Locale.ROOT),
                    -1,
                    String.valueOf(e.getMessage()),
                    "",
                    false);
        }
    }
}
