package org.torte.cli.vhd;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.torte.cli.output.Output;
import org.torte.disk.DiskFormat;
import org.torte.disk.DiskInfo;
import org.torte.disk.VirtualDisk;
import org.torte.disk.VirtualDisks;
import org.torte.disk.operation.Family;
import org.torte.disk.operation.Progress;
import org.torte.disk.operation.Resize;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

@Command(
        name = "info",
        description = "Shows what a disk is. Takes no lock, so it works on a disk in use.",
        sortOptions = false)
final class InfoCommand extends VhdCommand.OnImage {
    @Option(names = "--chain", description = "shows all parents too")
    boolean chain;

    @Option(
            names = "--minimum",
            description = "finds out how far the disk can shrink; reads it, so it must not be in use")
    boolean minimum;

    @Override
    public Integer call() {
        Path path = Images.path(file);
        DiskFormat diskFormat = Images.format(path, format, "--format");
        if (chain) {
            showChain(Family.chain(path, diskFormat, looking()));
            return 0;
        }
        DiskInfo info;
        try (VirtualDisk disk = VirtualDisks.open(path, diskFormat, looking())) {
            info = disk.info();
        }
        Map<String, Object> json = Images.json(info);
        Map<String, String> text = new LinkedHashMap<>(Images.text(info));
        if (minimum) {
            try (VirtualDisk disk = VirtualDisks.open(path, diskFormat, reading())) {
                long smallest = Resize.minimum(disk, Progress.NONE);
                json.put("minimumSize", smallest);
                text.put("Minimum size", Output.size(smallest) + " (" + smallest + " bytes)");
            }
        }
        show(json, Output.list(text));
        return 0;
    }

    private void showChain(List<DiskInfo> infos) {
        List<Map<String, Object>> json = new ArrayList<>();
        List<List<String>> rows = new ArrayList<>();
        rows.add(List.of("LEVEL", "FORMAT", "TYPE", "SIZE", "ON HOST", "PATH"));
        for (DiskInfo info : infos) {
            json.add(Images.json(info));
            rows.add(List.of(
                    String.valueOf(rows.size() - 1),
                    info.format().name(),
                    Images.lower(info.type()),
                    Output.size(info.size()),
                    Output.size(info.allocated()),
                    info.image()));
        }
        show(json, Output.table(rows));
    }
}
