package org.torte.cli;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import org.torte.cli.output.Json;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code torte doctor}. */
@Command(
        name = "torte doctor",
        description = "Looks at this host and says, line by line, what that means for guests and how to improve it.",
        sortOptions = false,
        footer = {"", "Exit status: 0 guests can run, 1 they cannot."})
final class DoctorCommand implements Callable<Integer> {
    @Option(
            names = {"-o", "--output"},
            paramLabel = "text|json",
            description = "text (the default) or json")
    String output = "text";

    @Option(
            names = {"-h", "--help"},
            usageHelp = true,
            description = "shows this help")
    boolean help;

    @Override
    public Integer call() {
        List<HostCheck.Finding> findings = HostCheck.all();
        switch (output) {
            case "text" -> findings.forEach(DoctorCommand::print);
            case "json" -> System.out.print(json(findings));
            default -> throw new UsageException("--output takes text or json, not \"" + output + "\"");
        }
        boolean bad = findings.stream().anyMatch(finding -> finding.state() == HostCheck.State.BAD);
        return bad ? ExitStatus.INTERNAL : ExitStatus.OK;
    }

    private static void print(HostCheck.Finding finding) {
        System.out.printf(
                Locale.ROOT,
                "%-5s %-10s %s: %s%n",
                finding.state().word(),
                finding.name(),
                finding.found(),
                finding.meaning());
        if (!finding.remedy().isEmpty()) {
            System.out.printf(Locale.ROOT, "%-16s to improve: %s%n", "", finding.remedy());
        }
    }

    private static String json(List<HostCheck.Finding> findings) {
        List<Object> list = new ArrayList<>();
        for (HostCheck.Finding finding : findings) {
            Map<String, Object> map = new LinkedHashMap<>();
            map.put("name", finding.name());
            map.put("state", finding.state().word());
            map.put("found", finding.found());
            map.put("meaning", finding.meaning());
            map.put("remedy", finding.remedy());
            list.add(map);
        }
        return Json.of(list);
    }
}
