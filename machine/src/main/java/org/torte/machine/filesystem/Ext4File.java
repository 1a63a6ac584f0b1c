package org.torte.machine.filesystem;

import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;

/** A regular file of an ext4 file system. For one thread, as its file system. */
public final class Ext4File {
    private final Inode inode;
    private final String path;

    Ext4File(Inode inode, String path) {
        this.inode = inode;
        this.path = path;
    }

    /** The path by which it was found. */
    public String path() {
        return path;
    }

    /** Its size in bytes, which the disk may claim to be anything. */
    public long size() {
        return inode.size();
    }

    /** Reads content from {@code offset} until {@code target} is full. */
    public void read(long offset, MemorySegment target) throws DamagedException {
        inode.read(offset, target);
    }

    /** The content of a small file as UTF-8 text; what is beyond {@code limit} bytes is left out. */
    public String text(int limit) throws DamagedException {
        byte[] bytes = new byte[(int) Math.min(size(), limit)];
        read(0, MemorySegment.ofArray(bytes));
        return new String(bytes, StandardCharsets.UTF_8);
    }
}
