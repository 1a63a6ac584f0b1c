package org.torte.worker.guest;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.torte.worker.InputException;

/**
 * Downloads packages from Debian archives, as a plain user: apt gets private folders for its lists and archives, because
 * those of a fresh system are empty and those of the system belong to root. For one thread.
 */
final class DebianPackages {
    private static final Path KEYRING = Path.of("/usr/share/keyrings/debian-archive-keyring.gpg");

    private final Path folder;
    private final List<String> options = new ArrayList<>();
    private boolean updated;

    /**
     * Works in a folder.
     *
     * @param folder where apt keeps what it needs; it is created and may be thrown away at any time
     */
    DebianPackages(Path folder, PackageSource source) throws IOException {
        this.folder = folder;
        if (!Files.isExecutable(Path.of("/usr/bin/apt-get")) || !Files.isExecutable(Path.of("/usr/bin/dpkg-deb"))) {
            throw new InputException("guest images are made from Debian packages, and this system has no apt; give "
                    + "--kernel FILE and --initrd FILE of a guest you have to torte run");
        }
        Files.createDirectories(folder.resolve("state/lists/partial"));
        Files.createDirectories(folder.resolve("cache/archives/partial"));
        options.add("-q");
        option("Dir::State=" + folder.resolve("state"));
        option("Dir::Cache=" + folder.resolve("cache"));
        option("APT::Sandbox::User=" + System.getProperty("user.name"));
        option("Acquire::Languages=none");
        if (source.mirror().isPresent()) {
            // What is installed here says nothing about the packages of another system.
            option("Dir::State::status=" + Files.createFile(folder.resolve("status")));
            Path list = folder.resolve("sources.list");
            String signed = Files.isReadable(KEYRING) ? " [signed-by=" + KEYRING + "]" : "";
            Files.writeString(list, "deb" + signed + " " + source.mirror().get() + " " + source.suite() + " main\n");
            option("Dir::Etc::sourcelist=" + list);
            option("Dir::Etc::sourceparts=-");
        } else {
            option("Dir::State::status=/var/lib/dpkg/status");
        }
    }

    private void option(String text) {
        options.add("-o");
        options.add(text);
    }

    /** The package that a metapackage, such as {@code linux-image-cloud-amd64}, stands for: its first dependency. */
    String dependency(String metapackage) throws IOException {
        return dependencies(metapackage).stream()
                .findFirst()
                .orElseThrow(() -> new InputException("the package " + metapackage
                        + " stands for no other; give the name of one that does, such as linux-image-cloud-amd64"));
    }

    /** The kernel package that a name stands for: the first dependency of a metapackage, or the package itself. */
    String kernel(String name) throws IOException {
        return dependencies(name).stream()
                .filter(needed -> needed.startsWith("linux-image-"))
                .findFirst()
                .orElse(name);
    }

    /** What a package depends on, of alternatives the first. */
    List<String> dependencies(String name) throws IOException {
        List<String> names = new ArrayList<>();
        for (String line : shown(List.of(name))) {
            if (line.startsWith("Depends:")) {
                for (String one : line.substring("Depends:".length()).split(",", -1)) {
                    names.add(one.strip().split("[ (|:]", 2)[0]);
                }
            }
        }
        return names;
    }

    /** The versions of packages that would be downloaded, by name. */
    SortedMap<String, String> versions(List<String> names) throws IOException {
        SortedMap<String, String> versions = new TreeMap<>();
        String name = "";
        for (String line : shown(names)) {
            if (line.startsWith("Package:")) {
                name = line.substring("Package:".length()).strip();
            } else if (line.startsWith("Version:")) {
                versions.putIfAbsent(name, line.substring("Version:".length()).strip());
            }
        }
        return versions;
    }

    private List<String> shown(List<String> names) throws IOException {
        update();
        List<String> arguments = new ArrayList<>(List.of("show", "--no-all-versions"));
        arguments.addAll(names);
        return run(
                        folder,
                        apt("apt-cache"),
                        arguments,
                        "the package sources have no " + String.join(", ", names)
                                + ", or cannot be read; Debian's main archive has them (/etc/apt/sources.list, or"
                                + " --mirror)")
                .lines()
                .toList();
    }

    /** Downloads a package and unpacks it, without installing it; gives the folder with its files. */
    Path unpack(String name) throws IOException {
        update();
        Path download = Files.createTempDirectory(folder, "package");
        run(download, apt("apt-get"), List.of("download", name), "");
        try (Stream<Path> files = Files.list(download)) {
            return unpack(files.filter(file -> file.toString().endsWith(".deb"))
                    .findFirst()
                    .orElseThrow(() -> new InputException(
                            "apt-get download " + name + " left no package; try it by hand to see why")));
        }
    }

    /** Unpacks a package file; gives the folder with its files. */
    Path unpack(Path deb) throws IOException {
        Path content = Files.createTempDirectory(folder, "content");
        run(folder, List.of("dpkg-deb"), List.of("-x", deb.toAbsolutePath().toString(), content.toString()), "");
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
            run(folder, apt("apt-get"), List.of("update"), "");
            updated = true;
        }
    }

    private List<String> apt(String tool) {
        List<String> command = new ArrayList<>();
        command.add(tool);
        command.addAll(options);
        return command;
    }

    /** Runs apt or dpkg; {@code advice} replaces the general words about a failure, unless it is empty. */
    private static String run(Path folder, List<String> command, List<String> arguments, String advice)
            throws IOException {
        List<String> words = new ArrayList<>(command);
        words.addAll(arguments);
        return HostCommand.run(folder, words, errors -> {
            String cause = errors.stream()
                    .filter(line -> line.startsWith("E:") || line.startsWith("dpkg-deb:"))
                    .findFirst()
                    .orElse("no reason given");
            return new InputException(
                    advice.isEmpty()
                            ? command.getFirst() + " " + String.join(" ", arguments) + " failed (" + cause
                                    + "); check this system's network and package sources"
                            : advice);
        });
    }
}
