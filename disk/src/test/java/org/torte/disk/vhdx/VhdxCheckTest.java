package org.torte.disk.vhdx;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.torte.disk.CheckReport;
import org.torte.disk.CheckReport.Severity;
import org.torte.disk.CheckReport.Verdict;
import org.torte.disk.CreateOptions;
import org.torte.disk.DiskAccess;
import org.torte.disk.DiskException;
import org.torte.disk.DiskFormat;
import org.torte.disk.DiskOptions;
import org.torte.disk.VirtualDisk;
import org.torte.disk.VirtualDisks;
import org.torte.disk.crash.MemoryFile;
import org.torte.disk.crash.MemoryStorage;
import org.torte.disk.crash.Remains;

/** The strict checker names each kind of damage, made by hand in images that are sound otherwise. */
class VhdxCheckTest {
    private static final int MIB = 1 << 20;
    private static final Path IMAGE = Path.of("/images/disk.vhdx");
    private static final Path PARENT = Path.of("/images/parent.vhdx");
    /** Where images made here have their block table and, without one of a parent, the entry of each block. */
    private static final long TABLE = 3L * MIB;

    private final MemoryStorage storage = new MemoryStorage();
    private final DiskOptions options = Remains.options(storage, 1);
    private MemoryFile open = new MemoryFile("");

    @BeforeEach
    void anImageWithTwoBlocks() {
        VirtualDisks.create(
                IMAGE, DiskFormat.VHDX, CreateOptions.dynamic(6 * MIB).withBlockSize(MIB), options);
        try (VirtualDisk disk = VirtualDisks.open(IMAGE, DiskFormat.VHDX, options)) {
            disk.write(0, new byte[2 * MIB]);
            disk.flush();
            open = storage.get(IMAGE).copy();
        }
        assertThat(check().findings()).isEmpty();
    }

    private CheckReport check() {
        return VirtualDisks.check(IMAGE, DiskFormat.VHDX, options.withAccess(DiskAccess.READ_ONLY), false);
    }

    private static List<String> codes(CheckReport report, Severity severity) {
        List<String> codes = new ArrayList<>();
        report.findings().stream().filter(f -> f.severity() == severity).forEach(f -> codes.add(f.code()));
        return codes;
    }

    private List<String> errors() {
        CheckReport report = check();
        assertThat(report.verdict()).isEqualTo(Verdict.DAMAGED);
        return codes(report, Severity.ERROR);
    }

    private byte[] read(long at, int length) throws Exception {
        byte[] bytes = new byte[length];
        storage.get(IMAGE).read(at, bytes);
        return bytes;
    }

    private void write(long at, byte... bytes) throws Exception {
        storage.get(IMAGE).write(at, bytes);
    }

    private void entry(int block, long mebibyte, int state) throws Exception {
        byte[] entry = new byte[8];
        Layout.buffer(entry).putLong(mebibyte << 20 | state);
        write(TABLE + 8L * block, entry);
    }

    private void flip(long at) throws Exception {
        write(at, (byte) ~read(at, 1)[0]);
    }

    @Test
    void twoBlocksAtOnePlace() throws Exception {
        write(TABLE + 8, read(TABLE, 8));
        assertThat(errors()).contains("bat.overlap");
    }

    @Test
    void aBlockOverTheMetadata() throws Exception {
        entry(1, 2, 6);
        assertThat(errors()).anyMatch(code -> code.startsWith("bat."));
    }

    @Test
    void aBlockBehindTheEndOfTheFile() throws Exception {
        entry(1, 5000, 6);
        assertThat(errors()).anyMatch(code -> code.startsWith("bat."));
    }

    @Test
    void aStateThatDoesNotExist() throws Exception {
        entry(1, 6, 5);
        assertThat(errors()).contains("bat.entry");
    }

    @Test
    void spaceThatNothingRefersTo() throws Exception {
        entry(0, 0, 0);
        CheckReport report = check();
        assertThat(report.sound()).isTrue();
        assertThat(codes(report, Severity.LEAK)).isNotEmpty().allMatch(code -> code.startsWith("space."));
        assertThat(report.leakedBytes()).isEqualTo(MIB);
    }

    @Test
    void oneCopyOfTheHeaderIsANoteAndBothAreAnError() throws Exception {
        flip(Layout.HEADER_1 + 8);
        assertThat(codes(check(), Severity.NOTE)).containsExactly("header.copy");
        flip(Layout.HEADER_2 + 8);
        assertThat(errors()).containsExactly("structure");
    }

    @Test
    void bothCopiesOfTheRegionTable() throws Exception {
        flip(Layout.REGIONS_1 + 20);
        assertThat(codes(check(), Severity.ERROR)).containsExactly("regions.copy");
        flip(Layout.REGIONS_2 + 20);
        assertThat(errors()).containsExactly("structure");
    }

    @Test
    void aLogInWhichNoEntryIsValid() throws Exception {
        storage.put(IMAGE, open);
        assertThat(codes(check(), Severity.NOTE)).contains("log.pending");
        for (long at = MIB; at < 2 * MIB; at += 4096) {
            flip(at + 16);
        }
        assertThat(errors()).containsExactly("log.damaged");
    }

    @Test
    void aFileThatWasCutOff() throws Exception {
        storage.get(IMAGE).truncate(TABLE + 2 * MIB);
        assertThat(errors()).isNotEmpty();
    }

    @Test
    void aChainThatLeadsBackToItselfIsNamed() throws Exception {
        storage.put(PARENT, storage.get(IMAGE));
        storage.delete(IMAGE);
        VirtualDisks.create(IMAGE, DiskFormat.VHDX, CreateOptions.differencing(PARENT), options);
        byte[] identifier = new byte[16];
        storage.get(PARENT).read(Layout.HEADER_1 + 32, identifier);
        for (long at : new long[] {Layout.HEADER_1, Layout.HEADER_2}) {
            byte[] header = read(at, 4096);
            System.arraycopy(identifier, 0, header, 32, 16);
            Layout.buffer(header).putInt(4, Layout.checksum(header, 4));
            write(at, header);
        }
        // The child takes its parent's place, identifier and all, and so is its own parent.
        storage.put(PARENT, storage.get(IMAGE).copyAs(PARENT.toString()));
        assertThatThrownBy(() -> VirtualDisks.open(IMAGE, DiskFormat.VHDX, options))
                .isInstanceOfSatisfying(
                        DiskException.class, e -> assertThat(e.kind()).isEqualTo(DiskException.Kind.PARENT_CYCLE));
        CheckReport report = check();
        assertThat(report.verdict()).isEqualTo(Verdict.PARENT);
        assertThat(codes(report, Severity.ERROR)).containsExactly("parent.linkage");
    }
}
