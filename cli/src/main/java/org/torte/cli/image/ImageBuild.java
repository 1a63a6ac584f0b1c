package org.torte.cli.image;

import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import org.torte.cli.ExitStatus;
import org.torte.cli.Quantities;
import org.torte.cli.UsageException;
import org.torte.cli.output.Output;
import org.torte.cli.output.OutputOption;
import org.torte.worker.DiskSource;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Makes a disk with a guest of one kind. What can be known before the work, which may take minutes, is refused before. */
abstract class ImageBuild implements Callable<Integer> {
    @Option(
            names = "--out",
            paramLabel = "FILE",
            description =
                    "a new file, whose name says the format (.vhdx, .vhd, .raw); the guest's name and .vhdx unless given")
    @Nullable
    String out;

    @Option(
            names = "--mirror",
            paramLabel = "ADDRESS",
            description = "takes the packages from this Debian archive instead of this system's sources")
    @Nullable
    String mirror;

    @Mixin
    OutputOption output = new OutputOption();

    @Option(names = "--what-if", description = "says what would be done, and does nothing")
    boolean whatIf;

    private final String name;

    ImageBuild(String name) {
        this.name = name;
    }

    /** How large the disk is to be, in bytes. */
    abstract long size();

    /** Refuses what makes no sense. */
    abstract void check();

    /** Makes it. */
    abstract void build(Path file, long bytes);

    @Override
    public Integer call() {
        Path file = file();
        long bytes = size();
        check();
        Map<String, Object> json = new LinkedHashMap<>();
        json.put("path", file.toString());
        json.put("size", bytes);
        json.put("done", !whatIf);
        if (whatIf) {
            output.show(json, "would make " + Output.printable(file.toString()) + " with " + Output.size(bytes) + "\n");
            return ExitStatus.OK;
        }
        build(file, bytes);
        output.show(json, file + "\n");
        return ExitStatus.OK;
    }

    private Path file() {
        Path file;
        try {
            file = Path.of(out == null ? name + ".vhdx" : out).toAbsolutePath();
        } catch (InvalidPathException e) {
            throw new UsageException("--out takes the path of a new file, not \"" + out + "\"", e);
        }
        Object _ = DiskSource.formatOf(file);
        if (Files.exists(file, LinkOption.NOFOLLOW_LINKS)) {
            throw new UsageException(file + " is there already; give another name with --out");
        }
        Path folder = file.getParent();
        if (folder == null || !Files.isDirectory(folder)) {
            throw new UsageException("there is no folder " + folder + "; give --out in one that there is");
        }
        return file;
    }

    /** What was given for the size, or what is usual. */
    static long size(@Nullable String given, long usual, long least) {
        long bytes = given == null ? usual : Quantities.bytes("--size", given);
        if (bytes < least) {
            throw new UsageException("--size is less than this guest needs; give " + Output.size(least) + " or more");
        }
        return bytes;
    }
}
