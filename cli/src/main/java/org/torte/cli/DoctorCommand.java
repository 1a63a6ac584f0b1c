package org.torte.cli;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import org.torte.cli.output.OutputOption;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

/** {@code torte doctor}. */
@Command(
        name = "torte doctor",
        description = "Looks at this host and says, line by line, what that means for guests and how to improve it.",
        sortOptions = false,
        footer = {"", "Exit status: 0 guests can run, 1 they cannot."})
final class DoctorCommand implements Callable<Integer> {
    @Mixin
    OutputOption output = new OutputOption();

    @Mixin
    HelpOption help = new HelpOption();

    @Override
    public Integer call() {
        List<HostCheck.Finding> findings = HostCheck.all();
        output.show(
                findings.stream().map(DoctorCommand::members).toList(),
                findings.stream().map(DoctorCommand::text).collect(Collectors.joining()));
        boolean bad = findings.stream().anyMatch(finding -> finding.state() == HostCheck.State.BAD);
        return bad ? ExitStatus.INTERNAL : ExitStatus.OK;
    }

    private static String text(HostCheck.Finding finding) {
        String line = String.format(
                Locale.ROOT,
                "%-5s %-10s %s: %s%n",
                finding.state().word(),
                finding.name(),
                finding.found(),
                finding.meaning());
        return finding.remedy().isEmpty()
                ? line
                : line + String.format(Locale.ROOT, "%-16s to improve: %s%n", "", finding.remedy());
    }

    private static Map<String, Object> members(HostCheck.Finding finding) {
        Map<String, Object> members = new LinkedHashMap<>();
        members.put("name", finding.name());
        members.put("state", finding.state().word());
        members.put("found", finding.found());
        members.put("meaning", finding.meaning());
        members.put("remedy", finding.remedy());
        return members;
    }
}
