package org.torte.cli.image;

import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import org.torte.cli.UsageException;
import org.torte.worker.guest.GuestImages;
import org.torte.worker.guest.PackageSource;
import org.torte.worker.guest.TinyGuest;
import org.torte.worker.guest.TinyGuests;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code torte image build tiny}. */
@Command(
        name = "tiny",
        description = {
            "Makes a disk with a small Linux: the distribution's kernel for clouds, its drivers for Hyper-V, busybox"
                    + " and",
            "the daemons of the integration services. It takes seconds and no root; the path is printed."
        },
        sortOptions = false,
        footer = {
            "",
            "The packages come from this system's own sources. What was made of them is kept in the user's cache"
                    + " folder and",
            "made anew when a package has changed."
        })
final class TinyCommand extends ImageBuild {
    @Option(names = "--size", paramLabel = "SIZE", description = "what the guest sees, 128M or more; 1G unless given")
    @Nullable
    String size;

    @Option(
            names = "--kernel",
            paramLabel = "PACKAGE",
            description =
                    "another kernel: the name of a package, such as linux-image-amd64, or the path of a .deb file")
    String kernel = GuestImages.CLOUD_KERNEL;

    @Option(names = "--suite", paramLabel = "NAME", description = "the release of the --mirror; stable unless given")
    @Nullable
    String suite;

    TinyCommand() {
        super("tiny");
    }

    @Override
    long size() {
        return size(size, TinyGuest.DEFAULT_SIZE, TinyGuest.MIN_SIZE);
    }

    @Override
    void check() {
        if (suite != null && mirror == null) {
            throw new UsageException("--suite is the release of a --mirror; give that too");
        }
    }

    @Override
    void build(Path file, long bytes) {
        PackageSource source =
                mirror == null ? PackageSource.host() : PackageSource.of(mirror, suite == null ? "stable" : suite);
        GuestImages images = new GuestImages(step -> System.err.println("torte: " + step));
        new TinyGuests(images).make(source, kernel).disk(file, bytes);
    }
}
