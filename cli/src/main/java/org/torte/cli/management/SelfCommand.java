package org.torte.cli.management;

import java.io.IOException;
import java.nio.charset.Charset;
import java.nio.file.Files;
import java.nio.file.Path;
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
        List<String> command = new ArrayList<>(List.of("setsid", "--"));
        command.add(ProcessHandle.current().info().command().orElse("java"));
        for (String argument : own()) {
            command.add(argument);
            if (MAIN.contains(argument)) {
                command.addAll(List.of(arguments));
                return command;
            }
        }
        throw new UsageException("Torte cannot start itself from here; start it with the torte command of a checkout");
    }

    /** The same for a machine: one whose code is not translated has the interpreter compiled as well as can be. */
    static List<String> ofMachine(boolean translating, String... arguments) {
        List<String> command = new ArrayList<>(of(arguments));
        if (!translating) {
            command.removeIf(argument -> argument.startsWith("-XX:CompilerDirectivesFile="));
        }
        return command;
    }

    /** This process's arguments. {@link ProcessHandle} has none where they are longer than a page of memory. */
    private static List<String> own() {
        try {
            String all = Files.readString(
                    Path.of("/proc/self/cmdline"), Charset.forName(System.getProperty("sun.jnu.encoding", "UTF-8")));
            List<String> words = List.of(all.split("\0"));
            return words.subList(1, words.size());
        } catch (IOException e) {
            return List.of();
        }
    }
}
