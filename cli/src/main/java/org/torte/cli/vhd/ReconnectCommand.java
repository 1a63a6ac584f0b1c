package org.torte.cli.vhd;

import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import org.torte.disk.DiskFormat;
import org.torte.disk.DiskOptions;
import org.torte.disk.operation.Reconnect;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

@Command(name = "reconnect", description = "Tells a differencing disk where its parent is now.", sortOptions = false)
final class ReconnectCommand extends VhdCommand.Change {
    @Option(names = "--parent", paramLabel = "FILE", required = true, description = "the parent")
    String parent = "";

    @Option(
            names = "--ignore-mismatch",
            description =
                    "accepts a parent that is not the one the disk remembers: wrong content damages the guest's files")
    boolean ignoreMismatch;

    @Override
    public Integer call() {
        Path path = Images.path(file);
        DiskFormat diskFormat = Images.format(path, format, "--format");
        DiskOptions options = disks();
        Path target = Images.path(parent);
        if (whatIf) {
            Path real = options.storage().resolve(path, options.folders());
            Path realTarget = options.storage().resolve(target, options.folders());
            Reconnect.checked(real, diskFormat, realTarget, ignoreMismatch, options);
        } else {
            Reconnect.run(path, diskFormat, target, ignoreMismatch, options);
        }
        Map<String, Object> json = new LinkedHashMap<>();
        json.put("path", path.toAbsolutePath().toString());
        json.put("parent", target.toAbsolutePath().toString());
        json.put("done", !whatIf);
        show(json, path + (whatIf ? ": its parent would be " : ": its parent is ") + target + "\n");
        return 0;
    }
}
