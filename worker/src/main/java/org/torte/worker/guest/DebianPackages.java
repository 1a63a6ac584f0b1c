package org.torte.worker.guest;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.torte.worker.InputException;

/**
 * Downloads packages from the sources this Debian system is set up for, as a plain user: apt gets private folders for its
 * lists and archives, because those of a fresh system are empty and those of the system belong to root. For one thread.
 */
final class DebianPackages {
    private final Path folder;
    private final List<String> options;
    private boolean updated;

    /**
     * Works in a folder.
     *
     * @param folder where apt keeps what it needs; it is created and may be thrown away at any time
     */
    DebianPackages(Path folder) throws IOException {
        this.folder = folder;
        if (!Files.isExecutable(Path.of("/usr/bin/apt-get")) || !Files.isExecutable(Path.of("/usr/bin/dpkg-deb"))) {
            throw new InputException("guest images are made from Debian packages, and this system has no apt; give "
                    + "--kernel FILE and --initrd FILE of a guest you have to torte run");
        }
        Files.createDirectories(folder.resolve("state/lists/partial"));
        Files.createDirectories(folder.resolve("cache/archives/partial"));
        options = List.of(
                "-q",
                "-o",
                "Dir::State=" + folder.resolve("state"),
                "-o",
                "Dir::State::status=/var/lib/dpkg/status",
                "-o",
                "Dir::Cache=" + folder.resolve("cache"),
                "-o",
                "APT::Sandbox::User=" + System.getProperty("user.name"),
                "-o",
                "Acquire::Languages=none");
    }

    /** The package that a metapackage, such as {@code linux-image-cloud-amd64}, stands for: its first dependency. */
    String dependency(String metapackage) throws IOException {
        update();
        String shown = apt("apt-cache", List.of("show", "--no-all-versions", metapackage));
        for (String line : shown.lines().toList()) {
            if (line.startsWith("Depends:")) {
                String first = line.substring("Depends:".length()).strip();
                int end = 0;
                while (end < first.length() && " ,(|".indexOf(first.charAt(end)) < 0) {
                    end++;
                }
                return first.substring(0, end);
            }
        }
        throw new InputException("the package sources of this system have no " + metapackage
                + "; add Debian's main archive to /etc/apt/sources.list");
    }

    /** Downloads a package and unpacks it, without installing it; gives the folder with its files. */
    Path unpack(String name) throws IOException {
        update();
        Path download = Files.createTempDirectory(folder, name);
        run(download, apt("apt-get"), List.of("download", name));
        Path deb;
        try (Stream<Path> files = Files.list(download)) {
            deb = files.filter(file -> file.toString().endsWith(".deb"))
                    .findFirst()
                    .orElseThrow(() -> new InputException(
                            "apt-get download " + name + " left no package; try it by hand to see why"));
        }
        Path content = download.resolve("content");
        run(download, List.of("dpkg-deb"), List.of("-x", deb.toString(), content.toString()));
        return content;
    }

    /** A path in the folder where this works, for a file that need not last. */
    Path file(String name) {
        return folder.resolve(name);
    }

    /** Removes a folder that {@link #unpack} gave, and everything else below {@code root}. */
    static void delete(Path root) throws IOException {
        try (Stream<Path> files = Files.walk(root)) {
            for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
                Files.delete(file);
            }
        }
    }

    private void update() throws IOException {
        if (!updated) {
            run(folder, apt("apt-get"), List.of("update"));
            updated = true;
        }
    }

    private List<String> apt(String tool) {
        List<String> command = new ArrayList<>();
        command.add(tool);
        command.addAll(options);
        return command;
    }

    private String apt(String tool, List<String> arguments) throws IOException {
        return run(folder, apt(tool), arguments);
    }

    private static String run(Path folder, List<String> command, List<String> arguments) throws IOException {
        List<String> words = new ArrayList<>(command);
        words.addAll(arguments);
        Path errors = Files.createTempFile(folder, "errors", ".txt");
        ProcessBuilder builder = new ProcessBuilder(words)
                .directory(folder.toFile())
                .redirectInput(ProcessBuilder.Redirect.from(Path.of("/dev/null").toFile()))
                .redirectError(errors.toFile());
        builder.environment().put("LC_ALL", "C");
        Process process = builder.start();
        try {
            String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            if (!process.waitFor(10, TimeUnit.MINUTES) || process.exitValue() != 0) {
                String cause = Files.readString(errors)
                        .lines()
                        .filter(line -> line.startsWith("E:") || line.startsWith("dpkg-deb:"))
                        .findFirst()
                        .orElse("no reason given");
                throw new InputException(command.getFirst() + " " + String.join(" ", arguments) + " failed (" + cause
                        + "); check this system's network and package sources");
            }
            return output;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IOException("interrupted while waiting for " + command.getFirst(), e);
        } finally {
            process.destroy();
            Files.deleteIfExists(errors);
        }
    }
}
