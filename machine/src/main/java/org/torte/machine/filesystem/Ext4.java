package org.torte.machine.filesystem;

import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * An ext2, ext3 or ext4 file system, for reading. Names are UTF-8 with what is none replaced. For one thread; the disk must
 * not change meanwhile, or what is read is a mixture.
 */
public final class Ext4 {
    private static final long ROOT = 2;
    private static final int MAX_LINKS = 40, MAX_DEPTH = 256;
    private static final long MAX_DIRECTORY = 16 << 20;
    private static final int MAX_NAMES = 100_000;

    private final Volume volume;
    private final Superblock superblock;
    /** Blocks that the journal has newer than their places, and where it has them. */
    private Map<Long, Journal.Copy> newer = Map.of();

    /**
     * An entry of a directory.
     *
     * @param name its name
     * @param inode the number of its inode
     */
    record Entry(String name, long inode) {}

    private Ext4(Volume volume, Superblock superblock) {
        this.volume = volume;
        this.superblock = superblock;
    }

    /** Whether a volume looks like one of these file systems. */
    public static boolean matches(Volume volume) {
        try {
            return volume.length() >= Superblock.OFFSET + Superblock.SIZE
                    && Superblock.matches(volume.read(Superblock.OFFSET, Superblock.SIZE));
        } catch (DamagedException e) {
            return false;
        }
    }

    /** Opens it; if it was not unmounted, as it will be after its journal is replayed, which happens in memory only. */
    public static Ext4 open(Volume volume) throws DamagedException {
        if (!matches(volume)) {
            throw new DamagedException("no ext2, ext3 or ext4");
        }
        byte[] bytes = volume.read(Superblock.OFFSET, Superblock.SIZE);
        Ext4 opened = new Ext4(volume, Superblock.parse(bytes, volume.length()));
        if (opened.superblock.needsRecovery()) {
            if (opened.superblock.journal() == 0) {
                throw new DamagedException("an ext4 whose journal is on another disk");
            }
            opened.newer = Journal.read(opened, opened.inode(opened.superblock.journal()));
        }
        return opened;
    }

    /** Its UUID, as Linux shows it. */
    public String uuid() {
        return superblock.uuid();
    }

    Superblock superblock() {
        return superblock;
    }

    /** Reads a block, as it is after recovery. */
    byte[] block(long number) throws DamagedException {
        byte[] bytes = new byte[superblock.blockSize()];
        read(number, 0, MemorySegment.ofArray(bytes));
        return bytes;
    }

    /** Reads a part of one block. */
    private void read(long number, long offset, MemorySegment target) throws DamagedException {
        if (number <= 0 && superblock.firstBlock() > 0 || number < 0 || number >= superblock.blocks()) {
            throw new DamagedException("an ext4 that names a block beyond its end");
        }
        Journal.Copy copy = newer.get(number);
        long from = copy == null ? number : copy.block();
        volume.read(from * superblock.blockSize() + offset, target);
        if (copy != null && copy.escaped() && offset < Journal.MAGIC_SIZE) {
            Journal.unescape(target, offset);
        }
    }

    /** Reads consecutive blocks, from their places where the journal has nothing newer. */
    void read(long number, MemorySegment target) throws DamagedException {
        int size = superblock.blockSize();
        if (newer.isEmpty()) {
            long last = number + (target.byteSize() + size - 1) / size;
            if (number < superblock.firstBlock() || number < 0 || last > superblock.blocks() || last < number) {
                throw new DamagedException("an ext4 that names a block beyond its end");
            }
            volume.read(number * size, target);
            return;
        }
        for (long at = 0; at < target.byteSize(); at += size) {
            read(number + at / size, 0, target.asSlice(at, Math.min(size, target.byteSize() - at)));
        }
    }

    Inode inode(long number) throws DamagedException {
        if (number < 1 || number > superblock.inodes()) {
            throw new DamagedException("an ext4 that names an inode beyond its end");
        }
        long group = (number - 1) / superblock.inodesPerGroup();
        if (group >= superblock.groups()) {
            throw new DamagedException("an ext4 that names an inode beyond its groups");
        }
        int size = superblock.descriptorSize();
        byte[] descriptors = block(superblock.descriptorBlock(group));
        int at = (int) (group % (superblock.blockSize() / size)) * size;
        long table = Bytes.u32(descriptors, at + 8) | (size >= 64 ? Bytes.u32(descriptors, at + 40) << 32 : 0);
        long offset = (number - 1) % superblock.inodesPerGroup() * superblock.inodeSize();
        byte[] bytes = new byte[superblock.inodeSize()];
        read(table + offset / superblock.blockSize(), offset % superblock.blockSize(), MemorySegment.ofArray(bytes));
        return new Inode(this, bytes);
    }

    /**
     * Finds a file by its path from the root, with or without a slash in front, following symbolic links.
     *
     * @return the file, or nothing when there is none
     */
    public Optional<Ext4File> find(String path) throws DamagedException {
        Inode found = resolve(path);
        return found != null && found.isFile() ? Optional.of(new Ext4File(found, path)) : Optional.empty();
    }

    /** The names in a directory, without those of itself and its parent; none when there is no such directory. */
    public List<String> list(String path) throws DamagedException {
        Inode found = resolve(path);
        List<String> names = new ArrayList<>();
        if (found != null && found.isDirectory()) {
            for (Entry entry : entries(found)) {
                if (!entry.name().equals(".") && !entry.name().equals("..")) {
                    names.add(entry.name());
                }
            }
        }
        return names;
    }

    private @Nullable Inode resolve(String path) throws DamagedException {
        Deque<String> left = new ArrayDeque<>(List.of(path.split("/", -1)));
        List<Inode> above = new ArrayList<>();
        Inode at = inode(ROOT);
        int links = 0;
        while (!left.isEmpty()) {
            String name = left.removeFirst();
            if (name.isEmpty() || name.equals(".")) {
                continue;
            }
            if (!at.isDirectory()) {
                return null;
            }
            if (name.equals("..")) {
                at = above.isEmpty() ? at : above.removeLast();
                continue;
            }
            Entry entry = entries(at).stream()
                    .filter(one -> one.name().equals(name))
                    .findFirst()
                    .orElse(null);
            if (entry == null) {
                return null;
            }
            Inode next = inode(entry.inode());
            if (next.isLink()) {
                if (++links > MAX_LINKS) {
                    return null;
                }
                String target = next.linkTarget();
                if (target.startsWith("/")) {
                    at = inode(ROOT);
                    above.clear();
                }
                List<String> parts = List.of(target.split("/", -1));
                for (int i = parts.size() - 1; i >= 0; i--) {
                    left.addFirst(parts.get(i));
                }
            } else {
                if (above.size() >= MAX_DEPTH) {
                    return null;
                }
                above.add(at);
                at = next;
            }
        }
        return at;
    }

    /** All entries; trees of hashes look like empty entries to who reads them in their order. */
    private List<Entry> entries(Inode directory) throws DamagedException {
        if (directory.size() > MAX_DIRECTORY) {
            throw new DamagedException("an ext4 with a directory of " + directory.size() + " bytes");
        }
        List<Entry> entries = new ArrayList<>();
        if (directory.isInline()) {
            byte[] content = directory.inlineData();
            // The parent's number, then entries in two areas: the inode's own, and the attribute behind it.
            int first = Math.min(content.length, Inode.INLINE_SIZE);
            add(content, Math.min(4, first), first, entries);
            add(content, first, content.length, entries);
            return entries;
        }
        byte[] bytes = new byte[(int) directory.size()];
        directory.read(0, MemorySegment.ofArray(bytes));
        int size = superblock.blockSize();
        for (int at = 0; at < bytes.length; at += size) {
            add(bytes, at, Math.min(at + size, bytes.length), entries);
        }
        return entries;
    }

    private static void add(byte[] bytes, int from, int to, List<Entry> entries) throws DamagedException {
        int at = from;
        while (at + 8 <= to) {
            long inode = Bytes.u32(bytes, at);
            int length = Bytes.u16(bytes, at + 4);
            // Blocks of 64 KiB have one entry that is too long for its field.
            if (length == 0 || length == 0xffff) {
                length = to - from;
            }
            int nameLength = Bytes.u8(bytes, at + 6);
            if (length < 8 || length % 4 != 0 || length > to - at || nameLength > length - 8) {
                throw new DamagedException("an ext4 with a damaged directory");
            }
            if (inode != 0 && nameLength > 0) {
                if (entries.size() >= MAX_NAMES) {
                    throw new DamagedException("an ext4 with a directory of too many names");
                }
                entries.add(new Entry(new String(bytes, at + 8, nameLength, StandardCharsets.UTF_8), inode));
            }
            at += length;
        }
    }
}
