package org.torte.worker;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;

/** Multiboot 1 kernels of a few instructions. */
final class SmallKernel {
    private static final int ADDRESS = 0x10_0000, HEADER = 32;

    private SmallKernel() {}

    /** Writes one that begins with these bytes of 32-bit code. */
    static Path write(Path folder, int... code) throws IOException {
        ByteBuffer image = ByteBuffer.allocate(HEADER + code.length).order(ByteOrder.LITTLE_ENDIAN);
        int magic = 0x1bad_b002;
        int flags = 1 << 16;
        image.putInt(magic).putInt(flags).putInt(-(magic + flags));
        image.putInt(ADDRESS).putInt(ADDRESS).putInt(0).putInt(0).putInt(ADDRESS + HEADER);
        for (int one : code) {
            image.put((byte) one);
        }
        return Files.write(folder.resolve("kernel"), image.array());
    }
}
