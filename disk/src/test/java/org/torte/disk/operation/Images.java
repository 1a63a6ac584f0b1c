package org.torte.disk.operation;

import java.nio.file.Path;
import java.util.Random;
import org.torte.disk.CreateOptions;
import org.torte.disk.DiskFormat;
import org.torte.disk.DiskInfo;
import org.torte.disk.DiskOptions;
import org.torte.disk.VirtualDisk;
import org.torte.disk.VirtualDisks;

/** Images of one format in a folder of a test. */
record Images(Path folder, DiskFormat format) {
    static final int MIB = 1 << 20;
    static final DiskOptions OPTIONS = DiskOptions.readWrite();

    /** The file that an image of this name, without its ending, has. */
    Path path(String name) {
        return folder.resolve(name + (format == DiskFormat.VHD ? ".vhd" : ".vhdx"));
    }

    Path create(String name, CreateOptions options) {
        Path image = path(name);
        VirtualDisks.create(image, format, options, OPTIONS);
        return image;
    }

    VirtualDisk open(Path image) {
        return VirtualDisks.open(image, format, OPTIONS);
    }

    void write(Path image, long at, byte[] data) {
        try (VirtualDisk disk = open(image)) {
            disk.write(at, data);
        }
    }

    byte[] content(Path image) {
        return content(image, format);
    }

    static byte[] content(Path image, DiskFormat format) {
        try (VirtualDisk disk = VirtualDisks.open(image, format, DiskOptions.readOnly())) {
            byte[] all = new byte[(int) disk.size()];
            disk.read(0, all);
            return all;
        }
    }

    DiskInfo info(Path image) {
        try (VirtualDisk disk = VirtualDisks.open(image, format, DiskOptions.inspect())) {
            return disk.info();
        }
    }

    static byte[] pattern(int length, long seed) {
        byte[] bytes = new byte[length];
        new Random(seed).nextBytes(bytes);
        return bytes;
    }

    /** "base" has content up to 9 MiB, "middle" from 7 to 13, "top", which is returned, from 12 to 15. */
    Path chainOfThree() {
        Path base = create("base", CreateOptions.dynamic(40 * MIB).withBlockSize(2 * MIB));
        write(base, 0, pattern(9 * MIB, 1));
        Path middle = create("middle", CreateOptions.differencing(base));
        write(middle, 7 * MIB + 512, pattern(6 * MIB, 2));
        Path top = create("top", CreateOptions.differencing(middle));
        write(top, 12 * MIB, pattern(3 * MIB, 3));
        return top;
    }
}
