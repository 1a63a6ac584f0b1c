package org.torte.worker.guest;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.UUID;
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
        GuestDisk.make(
                file, size, id, "tiny", volume -> Ext4Volume.make(root(), GptTable.room(size), id, "tiny", volume));
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
