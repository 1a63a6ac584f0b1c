package org.torte.cli.vhd;

import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.torte.cli.Quantities;
import org.torte.cli.UsageException;
import org.torte.cli.output.Output;
import org.torte.disk.DiskFormat;
import org.torte.disk.VirtualDisk;
import org.torte.disk.VirtualDisks;
import org.torte.disk.operation.Progress;
import org.torte.disk.operation.Resize;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

@Command(
        name = "resize",
        description = "Changes the size of a disk. It shrinks only where no partition and no data is lost.",
        sortOptions = false)
final class ResizeCommand extends VhdCommand.Change {
    @Option(names = "--size", paramLabel = "SIZE", description = "the new size, such as 100G")
    @Nullable
    String size;

    @Option(names = "--minimum", description = "as small as the partitions, or else the data, allow")
    boolean minimum;

    @Override
    public Integer call() {
        if ((size == null) != minimum) {
            throw new UsageException("give either --size or --minimum");
        }
        Path path = Images.path(file);
        DiskFormat diskFormat = Images.format(path, format, "--format");
        return LongWork.run("resize", progress -> resize(path, diskFormat, progress));
    }

    private int resize(Path path, DiskFormat diskFormat, Progress progress) {
        long before;
        long after;
        try (VirtualDisk disk = VirtualDisks.open(path, diskFormat, reading())) {
            before = disk.size();
            after = size == null ? Resize.minimum(disk, progress) : Quantities.bytes("--size", size);
        }
        if (whatIf) {
            Resize.check(path, diskFormat, after, disks(), progress);
        } else {
            Resize.run(path, diskFormat, after, disks(), progress);
        }
        Map<String, Object> result = new LinkedHashMap<>();
        result.put("path", path.toAbsolutePath().toString());
        result.put("sizeBefore", before);
        result.put("size", after);
        result.put("done", !whatIf);
        show(
                result,
                path + ": " + (whatIf ? "would change" : "changed") + " from " + Output.size(before) + " to "
                        + Output.size(after) + "\n");
        return 0;
    }
}
