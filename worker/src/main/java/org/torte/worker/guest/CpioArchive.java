package org.torte.worker.guest;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.HashSet;
import java.util.Locale;
import java.util.Set;

/**
 * Writes the archive format of Linux initial RAM disks (Linux Documentation/driver-api/early-userspace/buffer-format.rst):
 * "newc" cpio, 110 bytes of ASCII header, name and data, both padded to 4 bytes. Everything belongs to root and has the
 * same time, so equal contents give equal archives. For one thread.
 */
public final class CpioArchive {
    private static final int DIRECTORY = 0040000, FILE = 0100000, LINK = 0120000, CHARACTER_DEVICE = 0020000;

    private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    private final Set<String> directories = new HashSet<>();
    private int inode = 1;

    /** Adds a directory and those above it, once. */
    public CpioArchive directory(String path) {
        addParents(path);
        if (directories.add(path)) {
            entry(path, DIRECTORY | 0755, 0, 0, new byte[0]);
        }
        return this;
    }

    /**
     * Adds a file and the directories above it.
     *
     * @param mode permission bits, such as 0755
     */
    public CpioArchive file(String path, int mode, byte[] content) {
        addParents(path);
        entry(path, FILE | mode, 0, 0, content);
        return this;
    }

    /** Adds a symbolic link. */
    public CpioArchive link(String path, String target) {
        addParents(path);
        entry(path, LINK | 0777, 0, 0, target.getBytes(StandardCharsets.UTF_8));
        return this;
    }

    /** Adds a character device. */
    public CpioArchive characterDevice(String path, int mode, int major, int minor) {
        addParents(path);
        entry(path, CHARACTER_DEVICE | mode, major, minor, new byte[0]);
        return this;
    }

    /** Ends the archive and writes it. */
    public void writeTo(OutputStream stream) throws IOException {
        entry("TRAILER!!!", 0, 0, 0, new byte[0]);
        bytes.writeTo(stream);
    }

    private void addParents(String path) {
        int slash = path.lastIndexOf('/');
        if (slash > 0) {
            directory(path.substring(0, slash));
        }
    }

    private void entry(String path, int mode, int major, int minor, byte[] content) {
        byte[] name = (path + '\0').getBytes(StandardCharsets.UTF_8);
        // magic, inode, mode, uid, gid, links, time, size, device (2), special device (2), length of the name, check
        String header = String.format(
                Locale.ROOT,
                "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
                inode++,
                mode,
                0,
                0,
                1,
                0,
                content.length,
                0,
                0,
                major,
                minor,
                name.length,
                0);
        bytes.writeBytes(header.getBytes(StandardCharsets.US_ASCII));
        bytes.writeBytes(name);
        pad();
        bytes.writeBytes(content);
        pad();
    }

    private void pad() {
        while (bytes.size() % 4 != 0) {
            bytes.write(0);
        }
    }
}
