package org.torte.cli.vhd;

import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.torte.cli.Quantities;
import org.torte.cli.UsageException;
import org.torte.cli.output.Output;
import org.torte.disk.DiskException;
import org.torte.disk.DiskFormat;
import org.torte.disk.DiskInfo;
import org.torte.disk.DiskType;
import org.torte.disk.VirtualDisk;
import org.torte.disk.VirtualDisks;
import org.torte.disk.operation.Convert;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

@Command(
        name = "convert",
        description = "Copies a disk, with what it reads from its parents, into a new image of any format.",
        sortOptions = false)
final class ConvertCommand extends VhdCommand.Change {
    @Parameters(index = "1", paramLabel = "NEW-FILE", description = "the new image")
    String target = "";

    @Option(
            names = "--to",
            paramLabel = "raw|vhd|vhdx",
            description = "format of the new image, whatever its name says")
    @Nullable
    String targetFormat;

    @Option(names = "--type", paramLabel = "dynamic|fixed", description = "dynamic (the default) or fixed")
    String type = "dynamic";

    @Option(names = "--block-size", paramLabel = "SIZE", description = "unit of allocation of the new image")
    @Nullable
    String blockSize;

    @Override
    public Integer call() {
        Path source = Images.path(file);
        Path made = Images.path(target);
        DiskFormat from = Images.format(source, format, "--format");
        DiskFormat to = Images.format(made, targetFormat, "--to");
        DiskType diskType = Images.type(type);
        long block = blockSize == null ? 0 : Quantities.bytes("--block-size", blockSize);
        if (block > Integer.MAX_VALUE) {
            throw new UsageException("--block-size is at most 256M");
        }
        if (whatIf) {
            if (disks().storage().exists(made)) {
                throw new DiskException(
                        DiskException.Kind.EXISTS,
                        target,
                        "the file exists already",
                        "choose another name or delete it");
            }
            try (VirtualDisk disk = VirtualDisks.open(source, from, reading())) {
                Map<String, Object> plan = new LinkedHashMap<>();
                plan.put("would", "convert");
                plan.put("path", made.toAbsolutePath().toString());
                plan.put("format", Images.lower(to));
                plan.put("size", disk.size());
                show(plan, "would copy " + Output.size(disk.size()) + " into " + made + " (" + to + ")\n");
            }
            return 0;
        }
        return LongWork.run("convert", progress -> {
            Convert.run(source, from, made, to, diskType, (int) block, disks(), progress);
            try (VirtualDisk disk = VirtualDisks.open(made, to, looking())) {
                DiskInfo info = disk.info();
                show(Images.json(info), Output.list(Images.text(info)));
            }
            return 0;
        });
    }
}
