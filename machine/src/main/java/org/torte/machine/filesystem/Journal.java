package org.torte.machine.filesystem;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.zip.CRC32C;

/**
 * Replays the journal of an ext3 or ext4 file system in memory (ext4 documentation, "Journal (jbd2)"): which blocks it has
 * in a newer state than their places, by the transactions that were committed whole.
 */
final class Journal {
    /** Bytes at the start of a block that the journal changes when they look like its own magic number. */
    static final int MAGIC_SIZE = 4;

    private static final long MAGIC = 0xc03b3998L;
    private static final int DESCRIPTOR = 1, COMMIT = 2, SUPERBLOCK_V1 = 3, SUPERBLOCK_V2 = 4, REVOKE = 5;
    private static final int HAS_WIDE = 2, HAS_CHECKSUM_2 = 8, HAS_CHECKSUM_3 = 0x10;
    /** Revocation, 64 bits, commits without waiting, both kinds of checksums, fast commits. */
    private static final long KNOWN = 1 | HAS_WIDE | 4 | HAS_CHECKSUM_2 | HAS_CHECKSUM_3 | 0x20;

    private static final int ESCAPED = 1, SAME_UUID = 2, LAST = 8;
    /** What is remembered of blocks: a journal of 4 GiB with blocks of 4 KiB. */
    private static final int MAX_BLOCKS = 1 << 20;

    /**
     * Where the journal has a block.
     *
     * @param block the place on the volume
     * @param escaped whether its first bytes have been replaced
     */
    record Copy(long block, boolean escaped) {}

    /** A block that a descriptor tells of, at a place in the journal. */
    private record Tag(long target, long journalBlock, boolean escaped, long checksum) {}

    private final Ext4 fileSystem;
    private final Inode file;
    private final int blockSize;
    private long length;
    private long first;
    private boolean wide;
    private int checksums;
    private final byte[] uuid = new byte[16];

    private final Map<Long, Copy> newer = new HashMap<>();
    /** The last transaction whose version of a block, and any before, must not be replayed. */
    private final Map<Long, Long> revoked = new HashMap<>();

    private Journal(Ext4 fileSystem, Inode file) {
        this.fileSystem = fileSystem;
        this.file = file;
        blockSize = fileSystem.superblock().blockSize();
    }

    /** What the journal in this inode has newer. */
    static Map<Long, Copy> read(Ext4 fileSystem, Inode file) throws DamagedException {
        return new Journal(fileSystem, file).replay();
    }

    /** Puts back the first bytes of a block, of which {@code target} holds what follows {@code offset}. */
    static void unescape(MemorySegment target, long offset) {
        for (long i = offset; i < MAGIC_SIZE && i - offset < target.byteSize(); i++) {
            target.set(ValueLayout.JAVA_BYTE, i - offset, (byte) (MAGIC >>> 8 * (3 - i)));
        }
    }

    private Map<Long, Copy> replay() throws DamagedException {
        byte[] superblock = block(0);
        long type = Bytes.be32(superblock, 4);
        length = Math.min(Bytes.be32(superblock, 16), file.size() / blockSize);
        first = Bytes.be32(superblock, 20);
        long sequence = Bytes.be32(superblock, 24);
        long start = Bytes.be32(superblock, 28);
        boolean sane = Bytes.be32(superblock, 0) == MAGIC
                && (type == SUPERBLOCK_V1 || type == SUPERBLOCK_V2)
                && Bytes.be32(superblock, 12) == blockSize
                && first >= 1
                && first < length
                && start < length;
        if (!sane) {
            throw new DamagedException("an ext4 whose journal is damaged");
        }
        if (type == SUPERBLOCK_V2) {
            long incompatible = Bytes.be32(superblock, 40);
            if ((incompatible & ~KNOWN) != 0) {
                throw new DamagedException("an ext4 whose journal has features that are not known");
            }
            wide = (incompatible & HAS_WIDE) != 0;
            checksums = (incompatible & HAS_CHECKSUM_3) != 0 ? 3 : (incompatible & HAS_CHECKSUM_2) != 0 ? 2 : 0;
            System.arraycopy(superblock, 48, uuid, 0, uuid.length);
        }
        if (start != 0) {
            // Revocations count for transactions before them, so that they are all collected first.
            scan(start, sequence, false);
            scan(start, sequence, true);
        }
        return newer;
    }

    /** Goes through the committed transactions, at most once around; the first time for what they revoke. */
    private void scan(long start, long sequence, boolean blocks) throws DamagedException {
        List<Tag> tags = new ArrayList<>();
        List<Long> revocations = new ArrayList<>();
        long expected = sequence;
        long at = start;
        for (long steps = 0; steps < length; steps++) {
            byte[] header = block(at);
            if (Bytes.be32(header, 0) != MAGIC || Bytes.be32(header, 8) != (expected & 0xffffffffL)) {
                return;
            }
            at = next(at);
            switch ((int) Bytes.be32(header, 4)) {
                case DESCRIPTOR -> {
                    if (!hasChecksum(header, blockSize - 4)) {
                        return;
                    }
                    int before = tags.size();
                    at = addTags(header, at, tags);
                    steps += tags.size() - before;
                }
                case REVOKE -> {
                    if (!hasChecksum(header, blockSize - 4)) {
                        return;
                    }
                    addRevocations(header, revocations);
                }
                case COMMIT -> {
                    if (!hasChecksum(header, 16) || blocks && !allWhole(tags, expected)) {
                        return;
                    }
                    for (long block : revocations) {
                        remember(revoked, block, expected);
                    }
                    if (blocks) {
                        for (Tag tag : tags) {
                            apply(tag, expected);
                        }
                    }
                    tags.clear();
                    revocations.clear();
                    expected++;
                }
                default -> {
                    return;
                }
            }
        }
    }

    private long next(long at) {
        return at + 1 >= length ? first : at + 1;
    }

    private void apply(Tag tag, long sequence) throws DamagedException {
        Long until = revoked.get(tag.target());
        if (until == null || sequence - until > 0) {
            remember(newer, tag.target(), new Copy(place(tag.journalBlock()), tag.escaped()));
        }
    }

    private static <T> void remember(Map<Long, T> map, long block, T value) throws DamagedException {
        if (map.size() >= MAX_BLOCKS && !map.containsKey(block)) {
            throw new DamagedException("an ext4 whose journal is too large to be replayed here");
        }
        map.put(block, value);
    }

    /** Reads the tags of a descriptor; gives the block after those that they tell of. */
    private long addTags(byte[] block, long at, List<Tag> tags) throws DamagedException {
        int size = checksums == 3 ? 16 : (checksums == 2 ? 10 : 8) + (wide ? 4 : 0);
        int end = blockSize - (checksums == 0 ? 0 : 4);
        long place = at;
        for (int tag = 12; tag + size <= end; ) {
            long target = Bytes.be32(block, tag);
            long flags;
            long checksum;
            if (checksums == 3) {
                flags = Bytes.be32(block, tag + 4);
                target |= wide ? Bytes.be32(block, tag + 8) << 32 : 0;
                checksum = Bytes.be32(block, tag + 12);
            } else {
                checksum = Bytes.be16(block, tag + 4);
                flags = Bytes.be16(block, tag + 6);
                target |= wide ? Bytes.be32(block, tag + 8) << 32 : 0;
            }
            if (tags.size() >= MAX_BLOCKS) {
                throw new DamagedException("an ext4 whose journal is too large to be replayed here");
            }
            tags.add(new Tag(target, place, (flags & ESCAPED) != 0, checksum));
            place = next(place);
            tag += size + ((flags & SAME_UUID) != 0 ? 0 : 16);
            if ((flags & LAST) != 0) {
                break;
            }
        }
        return place;
    }

    private void addRevocations(byte[] block, List<Long> revocations) throws DamagedException {
        long end = Math.min(Bytes.be32(block, 12), blockSize - (checksums == 0 ? 0 : 4));
        int size = wide ? 8 : 4;
        for (int at = 16; at + size <= end; at += size) {
            if (revocations.size() >= MAX_BLOCKS) {
                throw new DamagedException("an ext4 whose journal is too large to be replayed here");
            }
            revocations.add(wide ? Bytes.be32(block, at) << 32 | Bytes.be32(block, at + 4) : Bytes.be32(block, at));
        }
    }

    /** Whether a block of the journal's own is whole, if it has a checksum, which counts as zero in itself. */
    private boolean hasChecksum(byte[] block, int at) throws DamagedException {
        if (checksums == 0) {
            return true;
        }
        long stored = Bytes.be32(block, at);
        byte[] copy = block.clone();
        Arrays.fill(copy, at, at + 4, (byte) 0);
        CRC32C crc = new CRC32C();
        crc.update(uuid);
        crc.update(copy);
        return kernels(crc) == stored;
    }

    private boolean allWhole(List<Tag> tags, long sequence) throws DamagedException {
        if (checksums == 0) {
            return true;
        }
        byte[] number = {(byte) (sequence >>> 24), (byte) (sequence >>> 16), (byte) (sequence >>> 8), (byte) sequence};
        for (Tag tag : tags) {
            CRC32C crc = new CRC32C();
            crc.update(uuid);
            crc.update(number);
            crc.update(block(tag.journalBlock()));
            long sum = checksums == 3 ? kernels(crc) : kernels(crc) & 0xffff;
            if (sum != tag.checksum()) {
                return false;
            }
        }
        return true;
    }

    /** The same sum without the inversion at its end, which the kernel leaves out. */
    private static long kernels(CRC32C crc) {
        return ~crc.getValue() & 0xffffffffL;
    }

    private byte[] block(long number) throws DamagedException {
        return fileSystem.block(place(number));
    }

    /** The place of a block of the journal on the volume. */
    private long place(long number) throws DamagedException {
        long place = file.physical(number);
        if (place == BlockMap.HOLE) {
            throw new DamagedException("an ext4 whose journal has a hole");
        }
        return place;
    }
}
