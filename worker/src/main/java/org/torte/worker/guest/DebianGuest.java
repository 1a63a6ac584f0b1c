package org.torte.worker.guest;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.function.Consumer;
import org.torte.worker.InputException;

/**
 * Makes disks with a whole Debian: systemd, ssh and the daemons of Hyper-V's integration services, bootable by its own
 * kernel. mmdebstrap does the work: as root, or as a plain user where the host has user namespaces. For one thread.
 */
public final class DebianGuest {
    /** Bytes of a disk when nothing else is asked for. */
    public static final long DEFAULT_SIZE = 8L << 30;

    /** The least bytes of a disk. */
    public static final long MIN_SIZE = 2L << 30;

    private static final String PACKAGES =
            "linux-image-cloud-amd64,systemd-sysv,dbus,udev,openssh-server,hyperv-daemons,"
                    + "iproute2,iputils-ping,sudo,ca-certificates,e2fsprogs,kmod,less,nano,procps";

    private final Consumer<String> progress;

    /** Tells {@code progress} what takes time. */
    public DebianGuest(Consumer<String> progress) {
        this.progress = progress;
    }

    /**
     * Makes a disk.
     *
     * @param file a new file, whose name says its format
     * @param size bytes, whole MiB
     * @param mirror the archive, or nothing for the one that this system is set up for
     * @param suite the release, or nothing for this system's own
     * @throws InputException when it cannot be made
     */
    public void disk(Path file, long size, GuestSettings settings, Optional<String> mirror, Optional<String> suite) {
        if (size < MIN_SIZE || size % (1 << 20) != 0) {
            throw new InputException("a Debian needs a disk of at least 2G, in whole MiB; give another --size");
        }
        PackageSource source = source(mirror, suite);
        UUID id = UUID.randomUUID();
        GuestDisk.make(file, size, id, "debian", volume -> volume(volume, size, id, settings, source));
    }

    private static PackageSource source(Optional<String> mirror, Optional<String> suite) {
        if (mirror.isEmpty() && suite.isEmpty()) {
            return PackageSource.host();
        }
        String archive = mirror.orElseThrow(() ->
                new InputException("--suite needs to know where that release is; give the archive with --mirror"));
        return PackageSource.of(archive, suite.orElse("stable"));
    }

    private void volume(Path volume, long size, UUID id, GuestSettings settings, PackageSource source)
            throws IOException {
        Path work = Files.createTempDirectory("torte-debian");
        try {
            // Another user, that of the namespace, reads what is in there.
            Files.setPosixFilePermissions(work, PosixFilePermissions.fromString("rwxr-xr-x"));
            boolean root = "root".equals(System.getProperty("user.name"));
            Path hook = script("debian-settings", work);
            Path archive = work.resolve("root.tar");
            List<String> command = new ArrayList<>(List.of(
                    "mmdebstrap",
                    "--quiet",
                    "--mode=" + (root ? "root" : "unshare"),
                    "--variant=minbase",
                    "--include=" + PACKAGES,
                    "--format=tar",
                    "--customize-hook=" + hook));
            command.addAll(source.forMmdebstrap(archive));
            progress.accept("installing a Debian; it takes a minute or more");
            Map<String, String> values = Map.of(
                    "TORTE_HOSTNAME", settings.hostName(),
                    "TORTE_UUID", id.toString(),
                    "TORTE_NETWORK", settings.network(),
                    "TORTE_USER", settings.user(),
                    "TORTE_PASSWORD", settings.password().orElse(""),
                    "TORTE_KEYS", String.join("\n", settings.keys()));
            HostCommand.run(work, command, values, DebianGuest::failed);

            progress.accept("making its file system");
            List<String> make = new ArrayList<>();
            if (!root) {
                make.addAll(List.of("unshare", "--user", "--map-root-user", "--map-auto"));
            }
            make.addAll(List.of(
                    script("debian-volume", work).toString(),
                    archive.toString(),
                    work.resolve("root").toString(),
                    Long.toString(GptTable.room(size) / 1024),
                    id.toString(),
                    volume.toString()));
            HostCommand.run(work, make, Map.of(), DebianGuest::failed);
        } finally {
            DebianPackages.delete(work);
        }
    }

    private static Path script(String name, Path folder) throws IOException {
        try (InputStream stream = DebianGuest.class.getResourceAsStream(name)) {
            if (stream == null) {
                throw new IllegalStateException("Torte is not whole: " + name + " is missing");
            }
            Path file = folder.resolve(name);
            Files.writeString(file, new String(stream.readAllBytes(), StandardCharsets.UTF_8));
            return Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rwxr-xr-x"));
        }
    }

    private static InputException failed(List<String> errors) {
        String cause = errors.stream()
                .filter(line -> line.startsWith("E:") || line.contains("rror"))
                .findFirst()
                .orElse(errors.isEmpty() ? "no reason given" : errors.getLast());
        return new InputException("the Debian was not made (" + cause.strip()
                + "); it needs mmdebstrap, e2fsprogs and the package sources, and as a plain user uidmap and"
                + " user namespaces");
    }
}
