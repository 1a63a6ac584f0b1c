package org.torte.worker.guest;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.UUID;
import org.torte.disk.CreateOptions;
import org.torte.disk.DiskException;
import org.torte.disk.DiskFormat;
import org.torte.disk.DiskOptions;
import org.torte.disk.Extent;
import org.torte.disk.VirtualDisk;
import org.torte.disk.VirtualDisks;
import org.torte.worker.DiskSource;
import org.torte.worker.InputException;
import org.torte.worker.VirtualMachine;

/**
 * A small Linux on a disk: the distribution's kernel with its drivers for Hyper-V, busybox, and the daemons of the
 * integration services. It starts a shell on the serial console, takes an address by DHCP on each network, and ends
 * when the host asks it to. {@link TinyGuests} makes it; this is what is made once, from which any number of disks
 * follow in a second each. Safe for several threads.
 */
public final class TinyGuest {
    /** Bytes of a disk when nothing else is asked for. */
    public static final long DEFAULT_SIZE = 1L << 30;

    /** The smallest disk in bytes: the content, a journal and some room. */
    public static final long MIN_SIZE = 128L << 20;

    /** The prompt of its shell, after which it takes commands. */
    public static final String PROMPT = "/root # ";

    private static final int CHUNK = 1 << 20;
    private static final int BLOCK_SIZE = 2 << 20;

    private final Path folder;
    private final Path kernel;
    private final Path initrd;
    private final UUID id;

    /** What {@link TinyGuests} has put into a folder: the tree of the root file system, which holds the kernel. */
    TinyGuest(Path folder) throws IOException {
        this.folder = folder;
        kernel = GuestImages.find(root().resolve("boot"), "vmlinuz");
        initrd = GuestImages.find(root().resolve("boot"), "initrd.img");
        id = identifier(String.valueOf(folder.getFileName()));
    }

    static UUID identifier(String key) {
        return UUID.nameUUIDFromBytes(key.getBytes(StandardCharsets.UTF_8));
    }

    static String commandLine(UUID id) {
        return "root=UUID=" + id + " console=ttyS0 quiet";
    }

    private Path root() {
        return folder.resolve("root");
    }

    /** Its kernel, a bzImage; the disk holds the same one. */
    public Path kernel() {
        return kernel;
    }

    /** Its initial RAM disk, which finds the root file system on a disk; the disk holds the same one. */
    public Path initrd() {
        return initrd;
    }

    /** The kernel's command line with which it starts from one of its disks. */
    public String commandLine() {
        return commandLine(id);
    }

    /** A machine that starts from a disk that {@link #disk} made; the disk is the first one. */
    public static VirtualMachine.Builder machine(Path disk) {
        return VirtualMachine.builder().disk(DiskSource.of(disk));
    }

    /**
     * Makes a disk with it: a partition table and one ext4 partition, its root file system.
     *
     * @param file a new file, whose name says its format: VHDX, VHD or raw
     * @param size of the disk in bytes, a multiple of 1 MiB
     * @throws InputException when the file is there already or cannot be made
     */
    public void disk(Path file, long size) {
        if (size < MIN_SIZE || size % (1 << 20) != 0) {
            throw new InputException(
                    "a tiny guest's disk has at least " + (MIN_SIZE >> 20) + " MiB and whole MiB; give another --size");
        }
        DiskFormat format = DiskSource.formatOf(file);
        CreateOptions create = CreateOptions.dynamic(size);
        switch (format) {
            case RAW -> create = CreateOptions.fixed(size);
            case VHDX -> create = create.withBlockSize(BLOCK_SIZE);
            case VHD -> {}
        }
        boolean made = false;
        try {
            VirtualDisks.create(file, format, create, DiskOptions.readWrite());
            made = true;
            fill(file, format);
            made = false;
        } catch (DiskException e) {
            throw new InputException(String.valueOf(e.getMessage()));
        } catch (IOException e) {
            throw new InputException("the disk " + file + " cannot be made (" + e
                    + "); check the free space there and in " + System.getProperty("java.io.tmpdir"));
        } finally {
            if (made) {
                GuestImages.deleteQuietly(file);
            }
        }
    }

    private void fill(Path file, DiskFormat format) throws IOException {
        Path parent = file.toAbsolutePath().getParent();
        Path volume = Files.createTempFile(parent == null ? Path.of("/") : parent, ".torte-", ".part.raw");
        try (VirtualDisk disk = VirtualDisks.open(file, format, DiskOptions.readWrite())) {
            Ext4Volume.make(root(), GptTable.room(disk.size()), id, "tiny", volume);
            UUID diskId = identifier(id + " disk");
            GptTable.write(disk, diskId, identifier(id + " partition"), GptTable.ROOT, "tiny");
            try (VirtualDisk source = VirtualDisks.open(volume, DiskFormat.RAW, DiskOptions.readOnly())) {
                copy(source, disk, GptTable.ALIGNMENT);
            }
            disk.flush();
        } finally {
            Files.deleteIfExists(volume);
        }
    }

    /** Copies what is not zero. */
    private static void copy(VirtualDisk source, VirtualDisk target, long offset) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment buffer = arena.allocate(CHUNK, 4096);
            for (long at = 0; at < source.size(); ) {
                Extent extent = source.extent(at, source.size() - at);
                for (long end = extent.end(); at < end; ) {
                    long length = Math.min(CHUNK, end - at);
                    if (extent.kind() == Extent.Kind.MAPPED) {
                        source.read(at, buffer, 0, length);
                        if (!isZero(buffer, length)) {
                            target.write(offset + at, buffer, 0, length);
                        }
                    }
                    at += length;
                }
            }
        }
    }

    private static boolean isZero(MemorySegment buffer, long length) {
        for (long at = 0; at < length; at += 8) {
            if (buffer.get(ValueLayout.JAVA_LONG, at) != 0) {
                return false;
            }
        }
        return true;
    }

    /** The text of one of the files that come with this class. */
    static String text(String name) throws IOException {
        try (InputStream stream = TinyGuest.class.getResourceAsStream("tiny/" + name)) {
            if (stream == null) {
                throw new IllegalStateException("Torte is not whole: " + name + " is missing");
            }
            return new String(stream.readAllBytes(), StandardCharsets.UTF_8);
        }
    }

    /** Writes the initial RAM disk. */
    static void writeInitrd(Path busybox, List<Path> modules, List<Path> virtio, Path target) throws IOException {
        CpioArchive archive = new CpioArchive();
        archive.directory("dev");
        archive.characterDevice("dev/console", 0600, 5, 1);
        archive.file("bin/busybox", 0755, Files.readAllBytes(busybox));
        archive.file("init", 0755, text("initrd-init").getBytes(StandardCharsets.UTF_8));
        addModules(archive, "modules/", modules);
        addModules(archive, "modules/virtio/", virtio);
        try (OutputStream stream = Files.newOutputStream(target)) {
            archive.writeTo(stream);
        }
    }

    private static void addModules(CpioArchive archive, String folder, List<Path> modules) throws IOException {
        int number = 100;
        for (Path module : modules) {
            archive.file(folder + number++ + "-" + module.getFileName(), 0644, Files.readAllBytes(module));
        }
    }
}
