package org.torte.cli.vhd;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import org.torte.cli.GroupCommand;
import org.torte.cli.UsageException;
import org.torte.cli.output.OutputOption;
import org.torte.disk.AllowedFolders;
import org.torte.disk.DiskAccess;
import org.torte.disk.DiskOptions;
import org.torte.disk.WindowsVolumes;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code torte vhd}. */
@Command(
        name = "torte vhd",
        description = "Makes, shows, checks and changes virtual disks: VHDX, VHD and raw.",
        sortOptions = false,
        subcommands = {
            NewCommand.class,
            InfoCommand.class,
            TestCommand.class,
            ConvertCommand.class,
            ResizeCommand.class,
            MergeCommand.class,
            OptimizeCommand.class,
            SetCommand.class,
            ReconnectCommand.class,
        },
        footer = {
            "",
            "The name of a file tells its format (.vhdx, .vhd, .raw, .img); --format overrides it. The content never does:",
            "a guest that owns a raw disk could write anything there.",
            "",
            "Exit status: 0 done, 1 Torte failed, 2 wrong usage, or a disk that cannot be read or is damaged, 130 Ctrl-C."
        })
public final class VhdCommand extends GroupCommand {
    /** What every command has: the image, its format, how to show the result. */
    abstract static class OnImage implements Callable<Integer> {
        @Parameters(index = "0", paramLabel = "FILE", description = "the image")
        String file = "";

        @Option(
                names = "--format",
                paramLabel = "raw|vhd|vhdx",
                description = "raw, vhd or vhdx, whatever the file's name says")
        @Nullable
        String format;

        @Mixin
        OutputOption output = new OutputOption();

        @Option(
                names = "--map",
                paramLabel = "VOLUME=FOLDER",
                description =
                        "where a drive, volume or share of Windows is here, for disks whose parents are named there")
        Map<String, String> volumes = new LinkedHashMap<>();

        @Option(
                names = "--within",
                paramLabel = "FOLDER",
                description =
                        "images and parents outside this folder are refused, and children looked for in all of it")
        List<String> folders = new ArrayList<>();

        /** How this command opens images for writing. */
        DiskOptions disks() {
            Map<String, Path> mapped = new LinkedHashMap<>();
            volumes.forEach((volume, folder) -> mapped.put(volume, Images.path(folder)));
            DiskOptions options = DiskOptions.readWrite();
            if (!folders.isEmpty()) {
                Path[] allowed = folders.stream().map(Images::path).toArray(Path[]::new);
                options = options.withFolders(AllowedFolders.of(allowed));
            }
            try {
                return options.withVolumes(new WindowsVolumes(mapped));
            } catch (IllegalArgumentException e) {
                throw new UsageException("--map: " + e.getMessage(), e);
            }
        }

        /** The same for reading. */
        DiskOptions reading() {
            return disks().withAccess(DiskAccess.READ_ONLY);
        }

        /** The same for looking at metadata, without a lock and without parents. */
        DiskOptions looking() {
            return disks().withAccess(DiskAccess.INSPECT).withOpenParents(false);
        }

        /** Prints one of two forms of a result. */
        void show(Object json, String text) {
            output.show(json, text);
        }
    }

    /** Commands that change something can say what they would do. */
    abstract static class Change extends OnImage {
        @Option(names = "--what-if", description = "says what would be done, and does nothing")
        boolean whatIf;
    }
}
