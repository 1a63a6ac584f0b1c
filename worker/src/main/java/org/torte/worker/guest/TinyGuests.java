package org.torte.worker.guest;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Set;
import java.util.SortedMap;
import java.util.UUID;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.torte.worker.InputException;

/**
 * Makes {@link TinyGuest}s from the distribution's packages and keeps them in the cache of {@link GuestImages}. One is
 * made anew when the versions of its packages have changed. For one thread; several processes may use one cache.
 */
public final class TinyGuests {
    private static final String BUSYBOX = "busybox-static", DAEMONS = "hyperv-daemons";

    /** What else is in the key: another number when the same parts are put together otherwise. */
    private static final String LAYOUT = "2 ";

    /** Drivers without which there is no root file system; those that are built into the kernel are left out. */
    private static final List<String> BOOT_MODULES =
            List.of("hv_vmbus", "hv_storvsc", "sd_mod", "crc32c_generic", "ext4");

    /** The same for virtual machines with disks on PCI. */
    private static final List<String> VIRTIO_MODULES = List.of("virtio_pci", "virtio_blk", "virtio_net");

    /** Drivers that the running system loads. */
    private static final List<String> MODULES =
            List.of("hv_utils", "hv_balloon", "hv_netvsc", "hyperv_keyboard", "hv_sock", "uio_hv_generic");

    private static final List<String> FOLDERS = List.of(
            "bin",
            "boot",
            "dev",
            "etc/init.d",
            "lib/torte",
            "lib64",
            "mnt",
            "proc",
            "root",
            "run",
            "sbin",
            "sys",
            "tmp",
            "usr/bin",
            "usr/sbin",
            "usr/libexec",
            "var/lib/hyperv",
            "var/log",
            "var/run");

    /** How long a guest is used before the package sources are asked again. */
    private static final Duration FRESH = Duration.ofDays(1);

    private final GuestImages images;

    /** Works in the cache of {@code images} and tells its progress. */
    public TinyGuests(GuestImages images) {
        this.images = images;
    }

    /**
     * The guest made from this system's packages: from the cache when it was made or found up to date less than a day
     * ago, or when the package sources cannot be reached.
     *
     * @throws InputException when there is none and none can be made
     */
    public TinyGuest guest() {
        Path current = images.cache().resolve("tiny/current");
        TinyGuest known = known(current);
        try {
            if (known != null
                    && Files.getLastModifiedTime(current)
                            .toInstant()
                            .isAfter(Instant.now().minus(FRESH))) {
                return known;
            }
            return make(PackageSource.host(), GuestImages.CLOUD_KERNEL);
        } catch (InputException | IOException e) {
            if (known != null) {
                return known;
            }
            throw e instanceof InputException told ? told : images.unusable((IOException) e);
        }
    }

    private @Nullable TinyGuest known(Path current) {
        try {
            return new TinyGuest(images.cache()
                    .resolve("tiny")
                    .resolve(Files.readString(current).strip()));
        } catch (IOException | InputException e) {
            // Nothing is there yet, or not all of it any more: then it is made anew.
            return null;
        }
    }

    /**
     * A guest made from packages of a source in their present versions, from the cache if they have not changed.
     *
     * @param source where the packages come from
     * @param kernel a kernel's package or a metapackage of one, such as {@link GuestImages#CLOUD_KERNEL}, or the path of
     *     a package file (a name with a slash, ending in {@code .deb})
     * @throws InputException when the packages cannot be had
     */
    public TinyGuest make(PackageSource source, String kernel) {
        return images.fetch(source, packages -> {
            boolean isFile = kernel.endsWith(".deb") && kernel.indexOf('/') >= 0;
            Path file = Path.of(kernel);
            if (isFile && !Files.isReadable(file)) {
                throw new InputException("the package " + kernel + " cannot be read; check the path");
            }
            String kernelPackage = isFile ? "" : packages.kernel(kernel);
            List<String> libraries = packages.dependencies(DAEMONS).stream()
                    .filter(name -> name.startsWith("lib"))
                    .toList();
            List<String> names = new ArrayList<>(List.of(BUSYBOX, DAEMONS));
            names.addAll(libraries);
            if (!isFile) {
                names.add(kernelPackage);
            }
            SortedMap<String, String> versions = packages.versions(names);
            String key = key(versions.toString() + (isFile ? digest(Files.readAllBytes(file)) : ""));
            Path folder = images.cache().resolve("tiny").resolve(key);
            if (!Files.isDirectory(folder)) {
                images.progress("downloading " + String.join(", ", names));
                Path kernelContent = isFile ? packages.unpack(file) : packages.unpack(kernelPackage);
                List<Path> libraryContents = new ArrayList<>();
                for (String library : libraries) {
                    libraryContents.add(packages.unpack(library));
                }
                assemble(packages, key, kernelContent, libraryContents, folder);
            }
            TinyGuest guest = new TinyGuest(folder);
            if (source.equals(PackageSource.host()) && kernel.equals(GuestImages.CLOUD_KERNEL)) {
                remember(key, packages.file("current"));
            }
            return guest;
        });
    }

    private void remember(String key, Path part) throws IOException {
        Path tiny = images.cache().resolve("tiny");
        Files.writeString(part, key);
        Files.setLastModifiedTime(part, FileTime.from(Instant.now()));
        Files.move(part, tiny.resolve("current"), StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        // Disks hold copies of all they need, so older ones may go; other processes may just be using them, though.
        try (Stream<Path> others = Files.list(tiny)) {
            for (Path other : others.toList()) {
                boolean old = Files.getLastModifiedTime(other)
                        .toInstant()
                        .isBefore(Instant.now().minus(FRESH.multipliedBy(7)));
                if (old && !other.endsWith(key) && Files.isDirectory(other)) {
                    DebianPackages.delete(other);
                }
            }
        }
    }

    /** Two guests with the same key have the same content. */
    private static String key(String versions) throws IOException {
        StringBuilder all = new StringBuilder(LAYOUT + versions)
                .append(BOOT_MODULES)
                .append(MODULES)
                .append(VIRTIO_MODULES);
        for (String name : List.of("initrd-init", "inittab", "rcS", "rcK", "udhcpc.script", "profile", "bash")) {
            all.append(TinyGuest.text(name));
        }
        return digest(all.toString().getBytes(StandardCharsets.UTF_8)).substring(0, 32);
    }

    private static String digest(byte[] bytes) {
        try {
            return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every JDK has SHA-256", e);
        }
    }

    private void assemble(DebianPackages packages, String key, Path kernel, List<Path> libraries, Path folder)
            throws IOException {
        Path made = Files.createDirectory(packages.file("made"));
        Path root = made.resolve("root");
        for (String path : FOLDERS) {
            Files.createDirectories(root.resolve(path));
        }
        Path busybox = GuestImages.find(packages.unpack(BUSYBOX), "busybox");
        copy(busybox, root.resolve("bin/busybox"), "rwxr-xr-x");
        linkApplets(busybox, root);

        Path vmlinuz = GuestImages.find(kernel.resolve("boot"), "vmlinuz");
        String version = vmlinuz.getFileName().toString().substring("vmlinuz-".length());
        Files.copy(vmlinuz, root.resolve("boot/vmlinuz-" + version));
        Path modules = Files.createDirectory(packages.file("modules"));
        KernelModules.copy(kernel, joined(BOOT_MODULES, joined(VIRTIO_MODULES, MODULES)), modules);
        List<Path> early = KernelModules.inOrder(modules, BOOT_MODULES);
        List<Path> virtio = new ArrayList<>(KernelModules.inOrder(modules, VIRTIO_MODULES));
        virtio.removeAll(early);
        TinyGuest.writeInitrd(busybox, early, virtio, root.resolve("boot/initrd.img-" + version));
        List<Path> late = new ArrayList<>(KernelModules.inOrder(modules, MODULES));
        late.removeAll(early);
        int number = 100;
        for (Path module : late) {
            Files.copy(module, root.resolve("lib/torte/" + number++ + "-" + module.getFileName()));
        }

        addDaemons(packages.unpack(DAEMONS), libraries, root);
        addSettings(root, version, TinyGuest.identifier(key));
        setPermissions(root);
        Files.createDirectories(folder.getParent());
        try {
            Files.move(made, folder, StandardCopyOption.ATOMIC_MOVE);
        } catch (FileSystemException e) {
            if (!Files.isDirectory(folder)) {
                throw e;
            }
            // Another process has been quicker.
        }
    }

    /** What all may read and who made it may write: the umask of whoever makes a guest is none of the guest's business. */
    private static void setPermissions(Path root) throws IOException {
        Set<PosixFilePermission> all = PosixFilePermissions.fromString("rwxr-xr-x");
        Set<PosixFilePermission> plain = PosixFilePermissions.fromString("rw-r--r--");
        List<Path> paths;
        try (Stream<Path> found = Files.walk(root)) {
            paths = found.filter(path -> !Files.isSymbolicLink(path)).toList();
        }
        for (Path path : paths) {
            boolean runs = Files.isDirectory(path) || Files.isExecutable(path);
            Files.setPosixFilePermissions(path, runs ? all : plain);
        }
    }

    private static List<String> joined(List<String> first, List<String> second) {
        List<String> all = new ArrayList<>(first);
        all.addAll(second);
        return all;
    }

    /** Busybox is every program that it says it is. */
    private static void linkApplets(Path busybox, Path root) throws IOException {
        String list = HostCommand.run(
                root,
                List.of(busybox.toString(), "--list-full"),
                errors -> new InputException("this system cannot run the busybox of the guest (" + errors
                        + "); take the packages of this system's own architecture"));
        for (String path : list.lines().toList()) {
            Path link = root.resolve(path).normalize();
            if (link.startsWith(root) && !Files.exists(link, LinkOption.NOFOLLOW_LINKS)) {
                Files.createDirectories(link.getParent());
                Files.createSymbolicLink(link, Path.of("/bin/busybox"));
            }
        }
    }

    private static void addDaemons(Path daemons, List<Path> libraries, Path root) throws IOException {
        Set<String> needed = new HashSet<>();
        for (Path file : files(daemons)) {
            String path = daemons.relativize(file).toString();
            if (path.startsWith("usr/sbin/") || path.startsWith("usr/libexec/")) {
                Files.createDirectories(root.resolve(path).getParent());
                copy(file, root.resolve(path), "rwxr-xr-x");
                needed.add(new String(Files.readAllBytes(file), StandardCharsets.ISO_8859_1));
            }
        }
        // What a program needs stands among its strings, as does the path of the loader.
        for (Path library : libraries) {
            for (Path file : files(library)) {
                String name = file.getFileName().toString();
                if (name.contains(".so.") && needed.stream().anyMatch(text -> text.contains(name + '\0'))) {
                    String folder = name.startsWith("ld-") ? "lib64/" : "lib/";
                    copy(file, root.resolve(folder + name), "rwxr-xr-x");
                }
            }
        }
    }

    private static List<Path> files(Path folder) throws IOException {
        try (Stream<Path> all = Files.walk(folder)) {
            return all.filter(Files::isRegularFile).toList();
        }
    }

    private static void copy(Path from, Path to, String permissions) throws IOException {
        Files.copy(from, to, StandardCopyOption.REPLACE_EXISTING);
        Files.setPosixFilePermissions(to, PosixFilePermissions.fromString(permissions));
    }

    private static void addSettings(Path root, String version, UUID id) throws IOException {
        put(root, "etc/inittab", TinyGuest.text("inittab"), "rw-r--r--");
        put(root, "etc/profile", TinyGuest.text("profile"), "rw-r--r--");
        put(root, "etc/init.d/rcS", TinyGuest.text("rcS"), "rwxr-xr-x");
        put(root, "etc/init.d/rcK", TinyGuest.text("rcK"), "rwxr-xr-x");
        put(root, "etc/udhcpc.script", TinyGuest.text("udhcpc.script"), "rwxr-xr-x");
        if (!Files.exists(root.resolve("bin/bash"), LinkOption.NOFOLLOW_LINKS)) {
            put(root, "bin/bash", TinyGuest.text("bash"), "rwxr-xr-x");
        }
        put(root, "etc/hostname", "tiny\n", "rw-r--r--");
        put(root, "etc/hosts", "127.0.0.1 localhost tiny\n", "rw-r--r--");
        put(root, "etc/passwd", "root::0:0:root:/root:/bin/sh\n", "rw-r--r--");
        put(root, "etc/group", "root:x:0:\ntty:x:5:\n", "rw-r--r--");
        put(root, "etc/fstab", "UUID=" + id + " / ext4 rw 0 1\n", "rw-r--r--");
        put(
                root,
                "etc/os-release",
                "ID=tiny\nNAME=\"Torte tiny guest\"\nVERSION_ID=" + version + "\nPRETTY_NAME=\"Torte tiny guest\"\n",
                "rw-r--r--");
        // The Boot Loader Specification, type 1: what a boot loader is told of this system.
        put(
                root,
                "boot/loader/entries/tiny.conf",
                "title Torte tiny guest\nversion " + version + "\nlinux /boot/vmlinuz-" + version
                        + "\ninitrd /boot/initrd.img-" + version + "\noptions " + TinyGuest.commandLine(id) + "\n",
                "rw-r--r--");
        Files.createSymbolicLink(root.resolve("etc/mtab"), Path.of("/proc/mounts"));
    }

    private static void put(Path root, String path, String text, String permissions) throws IOException {
        Path file = root.resolve(path);
        Files.createDirectories(file.getParent());
        Files.writeString(file, text);
        Files.setPosixFilePermissions(file, PosixFilePermissions.fromString(permissions));
    }
}
