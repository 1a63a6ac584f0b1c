package org.torte.disk.operation;

import java.nio.file.Path;
import java.util.Random;
import org.torte.disk.CreateOptions;
import org.torte.disk.DiskAccess;
import org.torte.disk.DiskFormat;
import org.torte.disk.DiskOptions;
import org.torte.disk.DiskType;
import org.torte.disk.VirtualDisk;
import org.torte.disk.VirtualDisks;
import org.torte.disk.crash.MemoryStorage;
import org.torte.disk.crash.Remains;

/** Images in memory: a base with content and a child of it, and a copy of the base. */
final class MemoryImages {
    final DiskFormat format;
    final long seed;
    final MemoryStorage storage = new MemoryStorage();
    final DiskOptions options;
    final Path base;
    final Path copy;
    final Path child;

    MemoryImages(DiskFormat format, long seed) {
        this.format = format;
        this.seed = seed;
        this.options = Remains.options(storage, seed);
        this.base = path("base");
        this.copy = path("copy");
        this.child = path("child");
    }

    Path path(String name) {
        return Path.of("/images", name + (format == DiskFormat.VHD ? ".vhd" : ".vhdx"));
    }

    /** With six blocks of content, two of them zero and one trimmed. */
    MemoryImages withBase(DiskType type) {
        int block = format == DiskFormat.VHD ? 512 << 10 : (1 << 20);
        CreateOptions create = type == DiskType.FIXED
                ? CreateOptions.fixed(6L * block)
                : CreateOptions.dynamic(6L * block + 5 * 512).withBlockSize(block);
        VirtualDisks.create(base, format, create, options);
        try (VirtualDisk disk = VirtualDisks.open(base, format, options)) {
            byte[] content = new byte[block];
            Random random = new Random(seed);
            for (int i = 0; i < 6; i++) {
                random.nextBytes(content);
                disk.write((long) i * block, i % 3 == 1 ? new byte[block] : content);
            }
            disk.flush();
            disk.trim(0, block);
        }
        return this;
    }

    MemoryImages withChild() {
        storage.put(copy, storage.get(base).copyAs(copy.toString()));
        VirtualDisks.create(child, format, CreateOptions.differencing(base), options);
        try (VirtualDisk disk = VirtualDisks.open(child, format, options)) {
            byte[] content = new byte[9 * 512];
            new Random(seed + 1).nextBytes(content);
            disk.write(5 * 512, content);
        }
        return this;
    }

    byte[] content(Path image) {
        return new Remains(image, format, storage, seed, "before").content(DiskAccess.READ_ONLY);
    }
}
