package org.torte.cli.vhd;

import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.torte.cli.Quantities;
import org.torte.cli.UsageException;
import org.torte.cli.output.Output;
import org.torte.disk.CreateOptions;
import org.torte.disk.DiskException;
import org.torte.disk.DiskFormat;
import org.torte.disk.DiskInfo;
import org.torte.disk.DiskType;
import org.torte.disk.VirtualDisk;
import org.torte.disk.VirtualDisks;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

@Command(
        name = "new",
        description = "Makes a disk; with --parent one that keeps only what differs from its parent.",
        sortOptions = false)
final class NewCommand extends VhdCommand.Change {
    @Option(names = "--size", paramLabel = "SIZE", description = "what the guest sees, such as 64T or 10G")
    @Nullable
    String size;

    @Option(names = "--type", paramLabel = "dynamic|fixed", description = "dynamic (the default) or fixed")
    @Nullable
    String type;

    @Option(names = "--parent", paramLabel = "FILE", description = "the parent of a differencing disk")
    @Nullable
    String parent;

    @Option(names = "--block-size", paramLabel = "SIZE", description = "unit of allocation: VHDX 1M to 256M")
    @Nullable
    String blockSize;

    @Option(names = "--sector-size", paramLabel = "BYTES", description = "logical sectors: 512 (the default) or 4096")
    int sectorSize;

    @Option(names = "--physical-sector-size", paramLabel = "BYTES", description = "512 or 4096 (the default)")
    int physicalSectorSize;

    @Override
    public Integer call() {
        Path path = Images.path(file);
        DiskFormat diskFormat = Images.format(path, format, "--format");
        CreateOptions options = options();
        if (whatIf) {
            if (disks().storage().exists(path)) {
                throw new DiskException(
                        DiskException.Kind.EXISTS, file, "the file exists already", "choose another name or delete it");
            }
            Map<String, Object> plan = new LinkedHashMap<>();
            plan.put("would", "create");
            plan.put("path", path.toAbsolutePath().toString());
            plan.put("format", Images.lower(diskFormat));
            plan.put("type", Images.lower(options.type()));
            show(plan, "would make " + path + " (" + diskFormat + ", " + Images.lower(options.type()) + ")\n");
            return 0;
        }
        return LongWork.run("new", _ -> {
            VirtualDisks.create(path, diskFormat, options, disks());
            DiskInfo info;
            try (VirtualDisk disk = VirtualDisks.open(path, diskFormat, looking())) {
                info = disk.info();
            }
            show(Images.json(info), Output.list(Images.text(info)));
            return 0;
        });
    }

    private CreateOptions options() {
        DiskType diskType;
        if (parent != null) {
            if (type != null) {
                throw new UsageException("--parent makes a differencing disk; leave --type out");
            }
            diskType = DiskType.DIFFERENCING;
        } else {
            if (size == null) {
                throw new UsageException("say how large the disk is with --size, or name its --parent");
            }
            diskType = type == null ? DiskType.DYNAMIC : Images.type(type);
        }
        long block = blockSize == null ? 0 : Quantities.bytes("--block-size", blockSize);
        if (block > Integer.MAX_VALUE) {
            throw new UsageException("--block-size is at most 256M");
        }
        return new CreateOptions(
                diskType,
                size == null ? 0 : Quantities.bytes("--size", size),
                (int) block,
                sectorSize,
                physicalSectorSize,
                Optional.ofNullable(parent).map(Images::path));
    }
}
