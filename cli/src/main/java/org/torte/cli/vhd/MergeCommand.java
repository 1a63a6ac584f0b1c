package org.torte.cli.vhd;

import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import org.torte.cli.output.Output;
import org.torte.disk.DiskFormat;
import org.torte.disk.DiskOptions;
import org.torte.disk.operation.Merge;
import picocli.CommandLine.Command;

@Command(
        name = "merge",
        description = {
            "Merges a differencing disk into its parent and deletes it.",
            "A merge that was interrupted goes on when it is started again; until then the disk can be used."
        },
        sortOptions = false)
final class MergeCommand extends VhdCommand.Change {
    @Override
    public Integer call() {
        Path path = Images.path(file);
        DiskFormat diskFormat = Images.format(path, format, "--format");
        DiskOptions options = disks();
        Merge.Plan plan = Merge.plan(path, diskFormat, options);
        if (whatIf) {
            show(json(plan), describe("would merge ", plan));
            return 0;
        }
        if (!output.json()) {
            System.out.print(describe(plan.resumed() ? "going on to merge " : "merging ", plan));
        }
        return LongWork.run("merge", progress -> {
            Merge.run(path, diskFormat, options, progress);
            show(json(plan), "merged into " + plan.parent() + "; " + path + " is deleted\n");
            return 0;
        });
    }

    private String describe(String verb, Merge.Plan plan) {
        return verb + Output.size(plan.bytes()) + " of " + file + " into " + plan.parent() + "; needs up to "
                + Output.size(plan.space()) + " of space\n";
    }

    private Map<String, Object> json(Merge.Plan plan) {
        Map<String, Object> map = new LinkedHashMap<>();
        map.put("path", file);
        map.put("parent", plan.parent().toString());
        map.put("bytes", plan.bytes());
        map.put("space", plan.space());
        map.put("resumed", plan.resumed());
        map.put("done", !whatIf);
        return map;
    }
}
