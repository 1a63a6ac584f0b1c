package org.torte.machine.filesystem;

import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/** A file, directory or link of an ext4 file system (ext4 documentation, "Index Nodes"). For one thread. */
final class Inode {
    /** Bytes of content that fit into an inode's own field. */
    static final int INLINE_SIZE = 60;

    private static final int TYPE = 0xf000, DIRECTORY = 0x4000, FILE = 0x8000, LINK = 0xa000;
    private static final long COMPRESSED = 0x4, ENCRYPTED = 0x800, EXTENTS = 0x80000, INLINE = 0x10000000L;
    private static final int FIELD = 40, MAX_LINK = 4096;
    private static final int ATTRIBUTES = 0xea020000, ENTRY = 16, SYSTEM = 7;

    private final Ext4 fileSystem;
    private final byte[] bytes;
    private final int mode;
    private final long flags;
    private final long size;
    private @Nullable BlockMap map;

    Inode(Ext4 fileSystem, byte[] bytes) throws DamagedException {
        this.fileSystem = fileSystem;
        this.bytes = bytes;
        mode = Bytes.u16(bytes, 0);
        flags = Bytes.u32(bytes, 32);
        // The upper half means something else in the directories of old file systems, which are small.
        long high = (mode & TYPE) == FILE || (mode & TYPE) == DIRECTORY ? Bytes.u32(bytes, 108) : 0;
        size = Bytes.u32(bytes, 4) | high << 32;
        if (size < 0) {
            throw new DamagedException("an ext4 with a file of negative size");
        }
    }

    boolean isDirectory() {
        return (mode & TYPE) == DIRECTORY;
    }

    boolean isFile() {
        return (mode & TYPE) == FILE;
    }

    boolean isLink() {
        return (mode & TYPE) == LINK;
    }

    boolean isInline() {
        return (flags & INLINE) != 0;
    }

    long size() {
        return size;
    }

    /** What a symbolic link points to. */
    String linkTarget() throws DamagedException {
        if (size > MAX_LINK) {
            throw new DamagedException("an ext4 with a symbolic link of " + size + " bytes");
        }
        byte[] target = new byte[(int) size];
        // Short ones are in the inode itself, without a block.
        if (!isInline() && size < INLINE_SIZE && (flags & EXTENTS) == 0) {
            System.arraycopy(bytes, FIELD, target, 0, target.length);
        } else {
            read(0, MemorySegment.ofArray(target));
        }
        return new String(target, StandardCharsets.UTF_8);
    }

    /** Reads content; the range must lie inside the size. */
    void read(long offset, MemorySegment target) throws DamagedException {
        if (offset < 0 || offset > size || target.byteSize() > size - offset) {
            throw new DamagedException("a file that ends too early");
        }
        if ((flags & (ENCRYPTED | COMPRESSED)) != 0) {
            throw new DamagedException("a file that is encrypted or compressed");
        }
        if (isInline()) {
            byte[] content = inlineData();
            if (offset + target.byteSize() > content.length) {
                throw new DamagedException("an ext4 with damaged inline data");
            }
            MemorySegment.copy(MemorySegment.ofArray(content), offset, target, 0, target.byteSize());
            return;
        }
        BlockMap blocks = blocks();
        int blockSize = fileSystem.superblock().blockSize();
        long done = 0;
        while (done < target.byteSize()) {
            long at = offset + done;
            BlockMap.Run run = blocks.find(at / blockSize);
            long within = at - run.logical() * blockSize;
            long count = Math.min(run.length() * blockSize - within, target.byteSize() - done);
            MemorySegment part = target.asSlice(done, count);
            if (run.physical() == BlockMap.HOLE) {
                part.fill((byte) 0);
            } else if (within % blockSize == 0) {
                fileSystem.read(run.physical() + within / blockSize, part);
            } else {
                // The rest of one block; what follows is aligned.
                count = Math.min(count, blockSize - within % blockSize);
                byte[] block = fileSystem.block(run.physical() + within / blockSize);
                MemorySegment.copy(MemorySegment.ofArray(block), within % blockSize, target, done, count);
            }
            done += count;
        }
    }

    /** Where block {@code logical} of the file is, or {@link BlockMap#HOLE}. */
    long physical(long logical) throws DamagedException {
        BlockMap.Run run = blocks().find(logical);
        return run.physical() == BlockMap.HOLE ? BlockMap.HOLE : run.physical() + logical - run.logical();
    }

    private BlockMap blocks() throws DamagedException {
        BlockMap known = map;
        if (known == null) {
            byte[] field = Arrays.copyOfRange(bytes, FIELD, FIELD + INLINE_SIZE);
            known = (flags & EXTENTS) != 0 ? new ExtentTree(fileSystem, field) : new IndirectBlocks(fileSystem, field);
            map = known;
        }
        return known;
    }

    /** Content that is kept in the inode: in its field, and for more in the value of an attribute named "system.data". */
    byte[] inlineData() throws DamagedException {
        byte[] more = size <= INLINE_SIZE ? new byte[0] : inlineAttribute();
        byte[] content = Arrays.copyOf(
                Arrays.copyOfRange(bytes, FIELD, FIELD + INLINE_SIZE), (int) Math.min(size, INLINE_SIZE + more.length));
        System.arraycopy(
                more, 0, content, Math.min(INLINE_SIZE, content.length), Math.max(content.length - INLINE_SIZE, 0));
        return content;
    }

    private byte[] inlineAttribute() throws DamagedException {
        int start = 128 + Bytes.u16(bytes, 128);
        if ((int) Bytes.u32(bytes, start) != ATTRIBUTES) {
            return new byte[0];
        }
        int first = start + 4;
        for (int at = first; at + ENTRY <= bytes.length && Bytes.u32(bytes, at) != 0; ) {
            int nameLength = Bytes.u8(bytes, at);
            if (Bytes.u8(bytes, at + 1) == SYSTEM && nameLength == 4 && hasName(at + ENTRY)) {
                long offset = first + (long) Bytes.u16(bytes, at + 2);
                long length = Bytes.u32(bytes, at + 8);
                if (Bytes.u32(bytes, at + 4) != 0 || offset > bytes.length || length > bytes.length - offset) {
                    throw new DamagedException("an ext4 with damaged inline data");
                }
                return Arrays.copyOfRange(bytes, (int) offset, (int) (offset + length));
            }
            at += ENTRY + (nameLength + 3) / 4 * 4;
        }
        return new byte[0];
    }

    private boolean hasName(int at) {
        return at + 4 <= bytes.length && new String(bytes, at, 4, StandardCharsets.US_ASCII).equals("data");
    }
}
