package org.torte.disk.vhd;

import java.io.IOException;
import java.util.Optional;
import java.util.UUID;
import org.jspecify.annotations.Nullable;
import org.torte.disk.DiskException;
import org.torte.disk.DiskException.Kind;
import org.torte.disk.DiskFile;

/**
 * Where things are in an image: the footers and the header, read and checked.
 *
 * @param file the file
 * @param footer the footer in force
 * @param header the header unless fixed
 * @param footerAt where the footer at the end is or was, in bytes
 * @param endFooter whether the footer at the end is right
 * @param copy whether the copy at the start is right and equal; meaningless for fixed
 * @param fileSize bytes
 */
record VhdLayout(
        DiskFile file,
        VhdFooter footer,
        @Nullable DynamicHeader header,
        long footerAt,
        boolean endFooter,
        boolean copy,
        long fileSize) {
    static final UUID NIL = new UUID(0, 0);
    /** The smallest block that is accepted: Virtual PC's 512 KiB is the smallest seen; smaller ones make huge tables. */
    static final int SMALLEST_BLOCK = 4096;

    static final int LARGEST_BLOCK = 256 << 20;
    private static final int MOST_ENTRIES = 8 << 20;
    private static final long MOST_SCANNED = 1L << 30;

    /** Reads footers and header. */
    static VhdLayout read(DiskFile file) throws IOException {
        long size = file.size();
        if (size < VhdFooter.SIZE) {
            throw damaged(file, "it is too short for a VHD", "check that it is a VHD");
        }
        long at = size / VhdFooter.SECTOR * VhdFooter.SECTOR - VhdFooter.SIZE;
        Optional<VhdFooter> end = decode(file, at);
        if (end.isEmpty() && size % VhdFooter.SECTOR != 0) {
            end = decode(file, size - VhdFooter.SIZE);
        }
        VhdFooter footer;
        long footerAt = at;
        Optional<VhdFooter> copy = Optional.empty();
        if (end.isPresent()) {
            footer = end.get();
            copy = footer.type() == VhdFooter.FIXED ? Optional.empty() : decode(file, 0);
        } else {
            // Before the copy at the start, which is guest data in a fixed image: a fixed image that was growing.
            long last = lastSectorWithContent(file, size);
            Optional<VhdFooter> left = last < 0 ? Optional.empty() : decode(file, last);
            if (left.isPresent()
                    && left.get().type() == VhdFooter.FIXED
                    && left.get().currentSize() == last) {
                footer = left.get();
                footerAt = last;
            } else {
                copy = decode(file, 0).filter(f -> f.type() != VhdFooter.FIXED);
                footer = copy.orElseThrow(() -> damaged(
                        file, "it has no valid VHD footer", "check that it is a VHD and was copied completely"));
            }
        }
        checkFooter(file, footer);
        DynamicHeader header = null;
        if (footer.type() != VhdFooter.FIXED) {
            header = header(file, footer, size);
        } else if (footer.currentSize() > footerAt) {
            throw damaged(file, "it is shorter than its footer says", "copy it again or restore it from a backup");
        }
        VhdFooter inForce = footer;
        return new VhdLayout(
                file,
                footer,
                header,
                footerAt,
                end.isPresent(),
                copy.filter(c -> c.equals(inForce)).isPresent(),
                size);
    }

    private static Optional<VhdFooter> decode(DiskFile file, long at) throws IOException {
        byte[] bytes = new byte[VhdFooter.SIZE];
        file.read(at, bytes);
        return VhdFooter.decode(bytes);
    }

    private static void checkFooter(DiskFile file, VhdFooter footer) {
        if (footer.type() < VhdFooter.FIXED || footer.type() > VhdFooter.DIFFERENCING) {
            throw new DiskException(
                    Kind.UNSUPPORTED, file.name(), "it has the unknown type " + footer.type(), "convert it elsewhere");
        }
        long size = footer.diskSize();
        if (size <= 0 || size > VhdFooter.LARGEST || size % VhdFooter.SECTOR != 0) {
            throw damaged(
                    file, "its footer gives an impossible size of " + size + " bytes", "restore it from a backup");
        }
    }

    private static DynamicHeader header(DiskFile file, VhdFooter footer, long size) throws IOException {
        String remedy = "restore it from a backup";
        long at = footer.dataOffset();
        if (at < VhdFooter.SIZE || at % VhdFooter.SECTOR != 0 || at > size - DynamicHeader.SIZE) {
            throw damaged(file, "its footer puts the header outside the file", remedy);
        }
        byte[] bytes = new byte[DynamicHeader.SIZE];
        file.read(at, bytes);
        DynamicHeader header = DynamicHeader.decode(bytes)
                .orElseThrow(() -> damaged(file, "its header is damaged (cookie or checksum)", remedy));
        int block = header.blockSize();
        if (block < SMALLEST_BLOCK || block > LARGEST_BLOCK || Integer.bitCount(block) != 1) {
            throw damaged(file, "its header gives an impossible block size of " + block + " bytes", remedy);
        }
        long needed = (footer.diskSize() + block - 1) / block;
        if (needed > MOST_ENTRIES) {
            throw new DiskException(
                    Kind.UNSUPPORTED, file.name(), "its blocks are too small for its size", "convert it elsewhere");
        }
        if (header.entries() < needed) {
            throw damaged(file, "its block table is too short for its size", remedy);
        }
        long table = header.tableOffset();
        if (table < VhdFooter.SIZE || table % VhdFooter.SECTOR != 0 || table > size - needed * 4) {
            throw damaged(file, "its header puts the block table outside the file", remedy);
        }
        return header;
    }

    /** The last sector that is not all zeros, or -1 when none was found in a reasonable time. */
    private static long lastSectorWithContent(DiskFile file, long size) throws IOException {
        long start = 0;
        long end = 0;
        for (long at = file.nextData(0); at < size; at = file.nextData(end)) {
            start = at;
            end = Math.min(size, file.nextHole(at));
            if (end <= at) {
                break;
            }
        }
        end = end / VhdFooter.SECTOR * VhdFooter.SECTOR;
        byte[] piece = new byte[1 << 16];
        long limit = Math.max(start, end - MOST_SCANNED);
        for (long at = end; at > limit; ) {
            int length = (int) Math.min(piece.length, at - limit / VhdFooter.SECTOR * VhdFooter.SECTOR);
            at -= length;
            file.read(at, java.lang.foreign.MemorySegment.ofArray(piece), 0, length);
            for (int i = length - 1; i >= 0; i--) {
                if (piece[i] != 0) {
                    return (at + i) / VhdFooter.SECTOR * VhdFooter.SECTOR;
                }
            }
        }
        return -1;
    }

    static DiskException damaged(DiskFile file, String problem, String remedy) {
        return new DiskException(Kind.DAMAGED, file.name(), problem, remedy);
    }

    /** The header of an image that is not fixed. */
    DynamicHeader dynamic() {
        if (header == null) {
            throw new IllegalStateException("a fixed image has no header");
        }
        return header;
    }

    /** Blocks of the disk. */
    int blocks() {
        return (int)
                ((footer.diskSize() + dynamic().blockSize() - 1) / dynamic().blockSize());
    }

    /** The entries of the block table that the size needs: sector numbers, -1 for none. */
    int[] table() throws IOException {
        int[] table = new int[blocks()];
        byte[] bytes = new byte[(int) Math.min(1 << 20, table.length * 4L)];
        for (int done = 0; done < table.length; ) {
            int count = Math.min(bytes.length / 4, table.length - done);
            file.read(
                    dynamic().tableOffset() + done * 4L, java.lang.foreign.MemorySegment.ofArray(bytes), 0, count * 4L);
            for (int i = 0; i < count; i++) {
                table[done + i] = java.lang.foreign.MemorySegment.ofArray(bytes).get(VhdFooter.INT, i * 4L);
            }
            done += count;
        }
        return table;
    }
}
