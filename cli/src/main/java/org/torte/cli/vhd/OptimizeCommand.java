package org.torte.cli.vhd;

import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import org.torte.cli.output.Output;
import org.torte.disk.DiskFormat;
import org.torte.disk.DiskInfo;
import org.torte.disk.VirtualDisk;
import org.torte.disk.VirtualDisks;
import org.torte.disk.operation.Optimize;
import picocli.CommandLine.Command;

@Command(
        name = "optimize",
        description = "Makes the file smaller: gives back trimmed blocks and blocks that hold only zeros.",
        sortOptions = false)
final class OptimizeCommand extends VhdCommand.Change {
    @Override
    public Integer call() {
        Path path = Images.path(file);
        DiskFormat diskFormat = Images.format(path, format, "--format");
        if (whatIf) {
            DiskInfo info;
            try (VirtualDisk disk = VirtualDisks.open(path, diskFormat, reading())) {
                info = disk.info();
            }
            show(Images.json(info), "would look through " + Output.size(info.allocated()) + " of " + path + "\n");
            return 0;
        }
        return LongWork.run("optimize", progress -> {
            Optimize.Result result = Optimize.run(path, diskFormat, disks(), progress);
            Map<String, Object> json = new LinkedHashMap<>();
            json.put("path", path.toAbsolutePath().toString());
            json.put("allocatedBefore", result.before());
            json.put("allocated", result.after());
            json.put("fileSizeBefore", result.lengthBefore());
            json.put("fileSize", result.lengthAfter());
            json.put("zeroBlocks", result.zeroBlocks());
            show(
                    json,
                    path + ": " + Output.size(result.before()) + " on the host before, " + Output.size(result.after())
                            + " now; the file has " + Output.size(result.lengthAfter()) + " instead of "
                            + Output.size(result.lengthBefore()) + "\n");
            return 0;
        });
    }
}
