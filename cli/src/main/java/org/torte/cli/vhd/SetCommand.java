package org.torte.cli.vhd;

import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.UUID;
import org.jspecify.annotations.Nullable;
import org.torte.cli.UsageException;
import org.torte.cli.output.Output;
import org.torte.disk.DiskFormat;
import org.torte.disk.DiskInfo;
import org.torte.disk.VirtualDisk;
import org.torte.disk.VirtualDisks;
import org.torte.disk.operation.Identity;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

@Command(
        name = "set",
        description = "Changes what identifies a disk, or the sector size it reports.",
        sortOptions = false)
final class SetCommand extends VhdCommand.Change {
    @Option(names = "--identifier", paramLabel = "UUID", description = "the disk's identifier, or new for a random one")
    @Nullable
    String identifier;

    @Option(names = "--physical-sector-size", paramLabel = "BYTES", description = "512 or 4096; VHDX only")
    int physicalSectorSize;

    @Override
    public Integer call() {
        if (identifier == null && physicalSectorSize == 0) {
            throw new UsageException("say what to change: --identifier or --physical-sector-size");
        }
        if (physicalSectorSize != 0 && physicalSectorSize != 512 && physicalSectorSize != 4096) {
            throw new UsageException("--physical-sector-size takes 512 or 4096");
        }
        Path path = Images.path(file);
        DiskFormat diskFormat = Images.format(path, format, "--format");
        Map<String, Object> json = new LinkedHashMap<>();
        json.put("path", path.toAbsolutePath().toString());
        UUID uuid = null;
        if (identifier != null) {
            uuid = uuid(identifier);
            json.put("identifier", uuid.toString());
        }
        if (physicalSectorSize != 0) {
            json.put("physicalSectorSize", physicalSectorSize);
        }
        if (whatIf) {
            json.put("done", false);
            try (VirtualDisk disk = VirtualDisks.open(path, diskFormat, looking())) {
                show(json, "would change " + disk.info().image() + "\n");
            }
            return 0;
        }
        Identity.set(path, diskFormat, uuid, physicalSectorSize, disks());
        DiskInfo info;
        try (VirtualDisk disk = VirtualDisks.open(path, diskFormat, looking())) {
            info = disk.info();
        }
        json.put("done", true);
        show(json, Output.list(Images.text(info)));
        return 0;
    }

    private static UUID uuid(String text) {
        if (text.equals("new")) {
            return UUID.randomUUID();
        }
        try {
            return UUID.fromString(text);
        } catch (IllegalArgumentException e) {
            throw new UsageException("--identifier takes a UUID or new, not \"" + text + "\"", e);
        }
    }
}
