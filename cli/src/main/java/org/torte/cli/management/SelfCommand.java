package org.torte.cli.management;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.torte.cli.UsageException;

/** This command again: the same Java, the same options, the same modules. */
final class SelfCommand {
    /** On a module path, and on a class path as tests have it. */
    private static final Set<String> MAIN = Set.of("org.torte.cli/org.torte.cli.Torte", "org.torte.cli.Torte");

    private SelfCommand() {}

    /**
     * What starts {@code torte} with arguments, detached from the terminal and the session of whoever starts it.
     *
     * @throws UsageException when this process was started in another way
     */
    static List<String> of(String... arguments) {
        ProcessHandle.Info self = ProcessHandle.current().info();
        String[] own = self.arguments().orElse(new String[0]);
        List<String> command = new ArrayList<>(List.of("setsid", "--"));
        command.add(self.command().orElse("java"));
        for (String argument : own) {
            command.add(argument);
            if (MAIN.contains(argument)) {
                command.addAll(List.of(arguments));
                return command;
            }
        }
        throw new UsageException("Torte cannot start itself from here; start it with the torte command of a checkout");
    }
}
