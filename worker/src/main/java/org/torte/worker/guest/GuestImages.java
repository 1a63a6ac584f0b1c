package org.torte.worker.guest;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.torte.worker.InputException;

/**
 * Kernels and initial RAM disks for small guests. What is downloaded stays in the cache folder, {@code
 * $XDG_CACHE_HOME/torte} or {@code ~/.cache/torte}; files appear there complete or not at all, so several processes may
 * use it. For one thread.
 */
public final class GuestImages {
    /** The kernel for clouds: no drivers but those of virtual machines, those for Hyper-V among them. */
    public static final String CLOUD_KERNEL = "linux-image-cloud-amd64";

    /** The kernel for any PC. */
    public static final String GENERIC_KERNEL = "linux-image-amd64";

    private static final String INIT = """
            #!/bin/busybox sh
            # Started by the kernel as process 1.
            export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=vt100 PS1='\\w # '
            /bin/busybox mount -t proc proc /proc
            /bin/busybox mount -t sysfs sysfs /sys
            /bin/busybox mount -t devtmpfs devtmpfs /dev
            /bin/busybox --install -s
            for module in /torte/modules/*.ko; do
              [ -f $module ] && insmod $module
            done
            cd /root
            work=/torte/script
            [ -x $work ] || work='sh -i'
            # What a terminal has still to send is dropped when its session ends; setting its modes waits for it.
            setsid sh -c "exec </dev/ttyS0 >/dev/ttyS0 2>&1; $work; stty echo"
            poweroff -f
            """;

    /** Drivers for the devices on the VMBus, for {@link #guestKernel}; not all of them are loaded by every guest. */
    private static final List<String> HYPERV_MODULES = List.of(
            "hv_vmbus", "hv_storvsc", "sd_mod", "hv_netvsc", "hv_utils", "hv_balloon", "hyperv_keyboard", "ext4");

    /** Modules for a guest with disks. */
    public static final List<String> DISK_MODULES = List.of("hv_storvsc", "sd_mod", "ext4");

    /** Modules for a guest with network adapters. */
    public static final List<String> NETWORK_MODULES = List.of("hv_netvsc");

    /** Modules for a guest with disks and integration services, but not dynamic memory, which takes an option. */
    public static final List<String> SERVICE_GUEST_MODULES =
            List.of("hv_storvsc", "sd_mod", "ext4", "hv_utils", "hyperv_keyboard");

    /**
     * A kernel with modules that fit it.
     *
     * @param kernel the kernel's file
     * @param modules the folder of its modules for Hyper-V
     */
    public record GuestKernel(Path kernel, Path modules) {
        /** One of its modules, unpacked, for a guest that loads it by itself. */
        public byte[] module(String name) throws IOException {
            return Files.readAllBytes(modules.resolve(name + ".ko"));
        }
    }

    private final Path cache;
    private final Consumer<String> progress;

    /**
     * Works in the user's cache folder.
     *
     * @param progress is told, in a few words, about work that takes time
     */
    public GuestImages(Consumer<String> progress) {
        this(userCache(), progress);
    }

    /** Works in a folder, which is created when needed. */
    public GuestImages(Path cache, Consumer<String> progress) {
        this.cache = cache;
        this.progress = progress;
    }

    private static Path userCache() {
        String base = System.getenv("XDG_CACHE_HOME");
        Path root = base != null && base.startsWith("/")
                ? Path.of(base)
                : Path.of(System.getProperty("user.home", "/"), ".cache");
        return root.resolve("torte");
    }

    /**
     * The kernel that a metapackage of the distribution stands for, downloaded unless it has been before.
     *
     * @param metapackage such as {@link #CLOUD_KERNEL}
     * @throws InputException when it can be had neither from the cache nor from the package sources
     */
    public Path kernel(String metapackage) {
        return cached(metapackage, ".vmlinuz", packages -> {
            String name = packages.dependency(metapackage);
            progress.accept("downloading " + name);
            return find(packages.unpack(name).resolve("boot"), "vmlinuz");
        });
    }

    /**
     * The kernel of a metapackage and its modules for Hyper-V, downloaded unless they have been before.
     *
     * @throws InputException when they can be had neither from the cache nor from the package sources
     */
    public GuestKernel guestKernel(String metapackage) {
        Path folder = cache.resolve(metapackage + ".hyperv");
        GuestKernel complete = new GuestKernel(folder.resolve("vmlinuz"), folder.resolve("modules"));
        if (Files.isDirectory(folder)) {
            return complete;
        }
        return fetch(packages -> {
            String name = packages.dependency(metapackage);
            progress.accept("downloading " + name);
            Path content = packages.unpack(name);
            Path made = Files.createTempDirectory(cache, "kernel");
            Files.createDirectory(made.resolve("modules"));
            Files.copy(find(content.resolve("boot"), "vmlinuz"), made.resolve("vmlinuz"));
            KernelModules.copy(content, HYPERV_MODULES, made.resolve("modules"));
            try {
                Files.move(made, folder, StandardCopyOption.ATOMIC_MOVE);
            } catch (FileSystemException e) {
                // Another process has been quicker.
                DebianPackages.delete(made);
            }
            return complete;
        });
    }

    /**
     * The distribution's daemons for key-value exchange and backup, and the libraries they need, for {@link #initrd}:
     * {@code usr/sbin/hv_kvp_daemon} and {@code hv_vss_daemon}; downloaded unless they have been before. The guest has to
     * make them executable.
     *
     * @throws InputException when they can be had neither from the cache nor from the package sources
     */
    public Map<String, byte[]> daemons() throws IOException {
        Map<String, byte[]> files = new TreeMap<>();
        for (String name : List.of("hv_kvp_daemon", "hv_vss_daemon")) {
            files.put("usr/sbin/" + name, Files.readAllBytes(packaged("hyperv-daemons", name)));
        }
        files.put("lib64/ld-linux-x86-64.so.2", Files.readAllBytes(packaged("libc6", "ld-linux-x86-64.so.2")));
        files.put("lib/x86_64-linux-gnu/libc.so.6", Files.readAllBytes(packaged("libc6", "libc.so.6")));
        return files;
    }

    private Path packaged(String name, String file) {
        return cached(file, "", packages -> {
            progress.accept("downloading " + name);
            return find(packages.unpack(name), file);
        });
    }

    /** The distribution's statically linked busybox, downloaded unless it has been before. */
    public Path busybox() {
        return cached("busybox-static", ".bin", packages -> {
            progress.accept("downloading busybox-static");
            return find(packages.unpack("busybox-static"), "busybox");
        });
    }

    /**
     * Makes an initial RAM disk that mounts the usual file systems and runs {@code script} on the serial console, or an
     * interactive shell if that is empty, and powers off when it ends.
     *
     * @param script a program for busybox's shell
     * @param files other files to put in, by path without a leading slash
     * @param target where to write it
     */
    public void initrd(String script, Map<String, byte[]> files, Path target) throws IOException {
        write(archive(script, files), target);
    }

    /** The same, which first loads some modules of its kernel, and those that they need. */
    public void initrd(String script, Map<String, byte[]> files, GuestKernel kernel, List<String> modules, Path target)
            throws IOException {
        CpioArchive archive = archive(script, files);
        int number = 100;
        for (Path module : KernelModules.inOrder(kernel.modules(), modules)) {
            archive.file("torte/modules/" + number++ + module.getFileName(), 0644, Files.readAllBytes(module));
        }
        write(archive, target);
    }

    private static void write(CpioArchive archive, Path target) throws IOException {
        try (OutputStream stream = Files.newOutputStream(target)) {
            archive.writeTo(stream);
        }
    }

    private CpioArchive archive(String script, Map<String, byte[]> files) throws IOException {
        CpioArchive archive = new CpioArchive();
        for (String directory : List.of("dev", "proc", "sys", "tmp", "root", "bin", "sbin", "usr/bin", "usr/sbin")) {
            archive.directory(directory);
        }
        archive.characterDevice("dev/console", 0600, 5, 1);
        archive.file("bin/busybox", 0755, Files.readAllBytes(busybox()));
        archive.link("bin/sh", "busybox");
        archive.file("init", 0755, INIT.getBytes(StandardCharsets.UTF_8));
        if (!script.isEmpty()) {
            archive.file("torte/script", 0755, ("#!/bin/sh\n" + script).getBytes(StandardCharsets.UTF_8));
        }
        files.forEach((path, content) -> archive.file(path, 0644, content));
        return archive;
    }

    /** The folder in which everything is kept. */
    Path cache() {
        return cache;
    }

    void progress(String step) {
        progress.accept(step);
    }

    /** Makes something of packages. */
    interface Source<T> {
        T get(DebianPackages packages) throws IOException;
    }

    private Path cached(String name, String suffix, Source<Path> source) {
        Path file = cache.resolve(name + suffix);
        if (Files.isReadable(file)) {
            return file;
        }
        return fetch(packages -> {
            Path found = source.get(packages);
            Path complete = packages.file("complete");
            Files.copy(found, complete);
            Files.move(complete, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
            return file;
        });
    }

    private <T> T fetch(Source<T> source) {
        return fetch(PackageSource.host(), source);
    }

    /** Gives a maker of things packages to download, and removes afterwards what it has left of them. */
    <T> T fetch(PackageSource from, Source<T> source) {
        try {
            Files.createDirectories(cache);
            Path work = Files.createTempDirectory(cache, "packages");
            try {
                progress.accept("reading the lists of the package sources");
                return source.get(new DebianPackages(work, from));
            } finally {
                DebianPackages.delete(work);
            }
        } catch (IOException e) {
            throw unusable(e);
        }
    }

    InputException unusable(IOException e) {
        return new InputException("the cache folder " + cache + " cannot be used (" + e + "); check its "
                + "permissions and free space, or set XDG_CACHE_HOME to another one");
    }

    static void deleteQuietly(Path file) {
        try {
            Files.deleteIfExists(file);
        } catch (IOException e) {
            // The error that led here is the one to tell.
            return;
        }
    }

    /** The largest file below a folder whose name begins with {@code prefix}. */
    static Path find(Path folder, String prefix) throws IOException {
        try (Stream<Path> files = Files.walk(folder)) {
            return files.filter(file -> Files.isRegularFile(file)
                            && file.getFileName().toString().startsWith(prefix))
                    .max(java.util.Comparator.comparingLong(
                            file -> file.toFile().length()))
                    .orElseThrow(() -> new InputException("the package in " + folder + " holds no " + prefix
                            + "; this distribution is not known to Torte"));
        }
    }
}
