package org.torte.cli.vhd;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.torte.cli.output.Output;
import org.torte.disk.CheckReport;
import org.torte.disk.DiskException;
import org.torte.disk.DiskFormat;
import org.torte.disk.DiskInfo;
import org.torte.disk.DiskOptions;
import org.torte.disk.VirtualDisks;
import org.torte.disk.operation.Family;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

@Command(
        name = "test",
        description = "Checks a disk and its parents strictly; --repair mends what can be mended without loss.",
        sortOptions = false)
final class TestCommand extends VhdCommand.OnImage {
    @Option(names = "--repair", description = "repairs the named image; its parents are only checked")
    boolean repair;

    @Override
    public Integer call() {
        Path path = Images.path(file);
        DiskFormat diskFormat = Images.format(path, format, "--format");
        List<CheckReport> reports = new ArrayList<>();
        DiskOptions options = repair ? disks() : reading();
        reports.add(check(path, diskFormat, options, repair));
        for (Path parent : parents(path, diskFormat)) {
            reports.add(check(parent, diskFormat, reading(), false));
        }
        boolean sound = reports.stream().allMatch(CheckReport::sound);
        show(json(reports), text(reports));
        return sound ? 0 : 2;
    }

    private static CheckReport check(Path path, DiskFormat format, DiskOptions options, boolean repair) {
        return VirtualDisks.check(path, format, options, repair);
    }

    /** The parents, as far as the chain can be followed; where it breaks is a finding of the check. */
    private List<Path> parents(Path path, DiskFormat format) {
        try {
            return Family.chain(path, format, reading()).stream()
                    .skip(1)
                    .map(DiskInfo::image)
                    .map(Path::of)
                    .toList();
        } catch (DiskException e) {
            return List.of();
        }
    }

    private static List<Map<String, Object>> json(List<CheckReport> reports) {
        List<Map<String, Object>> all = new ArrayList<>();
        for (CheckReport report : reports) {
            Map<String, Object> map = new LinkedHashMap<>();
            map.put("path", report.image());
            map.put("format", Images.lower(report.format()));
            map.put("sound", report.sound());
            map.put("verdict", Images.lower(report.verdict()));
            map.put("allocatedBlocks", report.allocatedBlocks());
            map.put("totalBlocks", report.totalBlocks());
            map.put("leakedBytes", report.leakedBytes());
            List<Map<String, Object>> findings = new ArrayList<>();
            for (CheckReport.Finding finding : report.findings()) {
                Map<String, Object> one = new LinkedHashMap<>();
                one.put("severity", Images.lower(finding.severity()));
                one.put("code", finding.code());
                one.put("offset", finding.offset());
                one.put("message", finding.message());
                one.put("repair", finding.repair());
                one.put("repaired", finding.repaired());
                findings.add(one);
            }
            map.put("findings", findings);
            all.add(map);
        }
        return all;
    }

    private static String text(List<CheckReport> reports) {
        StringBuilder out = new StringBuilder();
        for (CheckReport report : reports) {
            out.append(Output.printable(report.image()))
                    .append(
                            switch (report.verdict()) {
                                case SOUND -> ": sound";
                                case PARENT -> ": sound itself, but its PARENT is not as it must be";
                                case DAMAGED -> ": DAMAGED";
                            })
                    .append(", ")
                    .append(report.allocatedBlocks())
                    .append(" of ")
                    .append(report.totalBlocks())
                    .append(" blocks in use");
            if (report.leakedBytes() > 0) {
                out.append(", ").append(Output.size(report.leakedBytes())).append(" unused");
            }
            out.append('\n');
            for (CheckReport.Finding finding : report.findings()) {
                out.append("  ")
                        .append(Images.lower(finding.severity()))
                        .append(' ')
                        .append(finding.code())
                        .append(finding.offset() < 0 ? "" : " at " + finding.offset())
                        .append(": ")
                        .append(Output.printable(finding.message()));
                if (!finding.repair().isEmpty()) {
                    out.append(finding.repaired() ? " (repaired: " : " (--repair would: ")
                            .append(finding.repair())
                            .append(')');
                }
                out.append('\n');
            }
        }
        return out.toString();
    }
}
