package org.torte.testing;

import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.torte.worker.InputException;
import org.torte.worker.guest.CpioArchive;
import org.torte.worker.guest.PackageSource;

/**
 * Programs of the distribution's packages and all that they depend on, unpacked beside each other and not installed: for a
 * guest's initial RAM disk. mmdebstrap does the work: as root, or as a plain user where the host has user namespaces. For
 * one thread.
 *
 * @param root the folder with their files
 */
public record PackagedPrograms(Path root) {
    /** What no program needs to run. */
    private static final List<String> LEFT_OUT =
            List.of("./dev", "./proc", "./sys", "./usr/share/doc", "./usr/share/man", "./usr/share/locale");

    /** The archive is written in parts, so that not all of it is in memory at once. */
    private static final int PART = 16 << 20;

    /**
     * Downloads packages from the sources that this system is set up for and unpacks them.
     *
     * @param packages their names
     * @param folder a new folder
     * @throws InputException when they cannot be had
     */
    public static PackagedPrograms unpack(List<String> packages, Path folder) throws IOException, InterruptedException {
        // Another user, that of the namespace, writes in there.
        Path root = Files.createDirectory(
                folder, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwxr-xr-x")));
        Path archive = Files.createTempFile("torte", ".tar");
        try {
            boolean privileged = "root".equals(System.getProperty("user.name"));
            List<String> command = new ArrayList<>(List.of(
                    "mmdebstrap",
                    "--quiet",
                    "--mode=" + (privileged ? "root" : "unshare"),
                    "--variant=extract",
                    "--format=tar",
                    "--include=" + String.join(",", packages)));
            // To standard output, so that the user of the namespace need not write where this user does.
            command.addAll(PackageSource.host().forMmdebstrap(Path.of("-")));
            run(archive, command);
            List<String> unpack = new ArrayList<>(List.of("tar", "-x", "--no-same-owner", "-C", root.toString()));
            LEFT_OUT.forEach(path -> unpack.add("--exclude=" + path));
            unpack.addAll(List.of("-f", archive.toString()));
            run(Path.of("/dev/null"), unpack);
        } finally {
            Files.delete(archive);
        }
        return new PackagedPrograms(root);
    }

    private static void run(Path output, List<String> command) throws IOException, InterruptedException {
        Process process;
        try {
            process = new ProcessBuilder(command)
                    .redirectInput(Path.of("/dev/null").toFile())
                    .redirectOutput(output.toFile())
                    .start();
        } catch (IOException e) {
            throw new InputException(command.getFirst() + " is not installed");
        }
        String errors = new String(process.getErrorStream().readAllBytes(), StandardCharsets.UTF_8);
        if (process.waitFor() != 0) {
            throw new InputException(command.getFirst() + " failed: "
                    + errors.lines()
                            .filter(line -> line.startsWith("E:"))
                            .findFirst()
                            .orElse(errors.strip()));
        }
    }

    /** Appends the files to an initial RAM disk: the kernel unpacks one archive after the other. */
    public void appendTo(Path initrd) throws IOException {
        try (OutputStream stream = new BufferedOutputStream(Files.newOutputStream(initrd, StandardOpenOption.APPEND));
                Stream<Path> files = Files.walk(root)) {
            CpioArchive archive = new CpioArchive();
            long written = 0;
            for (Path file : files.filter(each -> !each.equals(root)).sorted().toList()) {
                String path = root.relativize(file).toString();
                if (Files.isSymbolicLink(file)) {
                    archive.link(path, Files.readSymbolicLink(file).toString());
                } else if (Files.isDirectory(file)) {
                    archive.directory(path);
                } else {
                    byte[] content = Files.readAllBytes(file);
                    archive.file(path, Files.isExecutable(file) ? 0755 : 0644, content);
                    written += content.length;
                }
                if (written > PART) {
                    archive.writeTo(stream);
                    archive = new CpioArchive();
                    written = 0;
                }
            }
            archive.writeTo(stream);
        }
    }
}
