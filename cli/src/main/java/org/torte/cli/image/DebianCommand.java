package org.torte.cli.image;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.torte.cli.UsageException;
import org.torte.worker.guest.DebianGuest;
import org.torte.worker.guest.GuestSettings;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code torte image build debian}. */
@Command(
        name = "debian",
        description = {
            "Makes a disk with a whole Debian: systemd, ssh, sudo and the daemons of the integration services, and a"
                    + " user.",
            "It needs mmdebstrap, and takes a minute or more; the path is printed."
        },
        sortOptions = false,
        footer = {
            "",
            "As a plain user it needs user namespaces and the package uidmap. Keys of the host and the machine's"
                    + " identity are",
            "made at the first start, so that copies of the disk do not share them."
        })
final class DebianCommand extends ImageBuild {
    @Option(names = "--size", paramLabel = "SIZE", description = "what the guest sees, 2G or more; 8G unless given")
    @Nullable
    String size;

    @Option(names = "--hostname", paramLabel = "NAME", description = "the guest's name; debian unless given")
    String hostName = "debian";

    @Option(names = "--user", paramLabel = "NAME", description = "a user who may become root; user unless given")
    String user = "user";

    @Option(
            names = "--password-file",
            paramLabel = "FILE",
            description =
                    "a file whose first line is the user's password; without it the console asks for none, and ssh"
                            + " takes keys only")
    @Nullable
    String passwordFile;

    @Option(
            names = "--ssh-key",
            paramLabel = "FILE",
            description = "a public key with which the user may log in, such as ~/.ssh/id_ed25519.pub; may be repeated")
    List<String> keyFiles = new ArrayList<>();

    @Option(
            names = "--address",
            paramLabel = "ADDRESS/PREFIX",
            description = "a fixed address, such as 192.168.1.5/24; DHCP unless given")
    @Nullable
    String address;

    @Option(names = "--gateway", paramLabel = "ADDRESS", description = "the way out of the network of --address")
    @Nullable
    String gateway;

    @Option(names = "--dns", paramLabel = "ADDRESS", description = "a name server for --address; may be repeated")
    List<String> nameServers = new ArrayList<>();

    @Option(names = "--suite", paramLabel = "NAME", description = "another release than this system's, such as trixie")
    @Nullable
    String suite;

    DebianCommand() {
        super("debian");
    }

    @Override
    long size() {
        return size(size, DebianGuest.DEFAULT_SIZE, DebianGuest.MIN_SIZE);
    }

    @Override
    void check() {
        GuestSettings _ = settings();
    }

    private GuestSettings settings() {
        List<String> keys = new ArrayList<>();
        for (String key : keyFiles) {
            keys.addAll(lines("--ssh-key", key));
        }
        Optional<String> password = passwordFile == null
                ? Optional.empty()
                : lines("--password-file", passwordFile).stream().findFirst();
        return new GuestSettings(
                hostName,
                user,
                password,
                keys,
                Optional.ofNullable(address),
                Optional.ofNullable(gateway),
                nameServers);
    }

    @Override
    void build(Path file, long bytes) {
        DebianGuest debian = new DebianGuest(step -> System.err.println("torte: " + step));
        debian.disk(file, bytes, settings(), Optional.ofNullable(mirror), Optional.ofNullable(suite));
    }

    private static List<String> lines(String option, String file) {
        try {
            return Files.readAllLines(Path.of(file)).stream()
                    .filter(line -> !line.isBlank())
                    .toList();
        } catch (IOException | InvalidPathException e) {
            throw new UsageException(option + " takes a file that can be read, not \"" + file + "\"", e);
        }
    }
}
