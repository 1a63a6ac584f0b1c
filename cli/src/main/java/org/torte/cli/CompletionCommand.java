package org.torte.cli;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.ArgSpec;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Model.PositionalParamSpec;
import picocli.CommandLine.Parameters;

/**
 * Prints what makes a shell complete the words of {@code torte}. All of it comes from the commands themselves: what stands
 * for a value in their help texts says what it is completed with, such as VM, FILE or text|json.
 */
@Command(
        name = "torte completion",
        description = {
            "Prints a script that makes a shell complete commands, options, their values and the names of what there is.",
            "",
            "  bash   source <(torte completion bash)              in ~/.bashrc",
            "  zsh    source <(torte completion zsh)               in ~/.zshrc, after compinit",
            "  fish   torte completion fish | source               in ~/.config/fish/config.fish",
            ""
        },
        sortOptions = false,
        footer = {"", "Exit status: 0 done, 1 Torte failed, 2 wrong usage."})
final class CompletionCommand implements Callable<Integer> {
    /** So many places of a parameter that can be repeated are completed. */
    private static final int PLACES = 8;

    @Parameters(index = "0", arity = "0..1", paramLabel = "bash|zsh|fish", description = "the shell")
    String shell = "";

    @Mixin
    HelpOption help = new HelpOption();

    /** By what was typed so far: the commands that follow. */
    private final Map<String, String> commands = new LinkedHashMap<>();
    /** By command: its options. */
    private final Map<String, String> options = new LinkedHashMap<>();
    /** By command and option, or command and place: what stands there. */
    private final Map<String, String> values = new LinkedHashMap<>();

    @Override
    public Integer call() throws IOException {
        if (!List.of("bash", "zsh", "fish").contains(shell)) {
            throw new UsageException(
                    shell.isEmpty()
                            ? "torte completion needs the name of a shell; give bash, zsh or fish"
                            : "there is no completion for \"" + shell + "\"; give bash, zsh or fish");
        }
        commands.put("torte", String.join(" ", Torte.COMMANDS.keySet()) + " help version");
        Torte.COMMANDS.forEach(
                (name, command) -> add("torte " + name, new CommandLine(command.get()).getCommandSpec()));
        commands.put("torte help", String.join(" ", Torte.COMMANDS.keySet()));
        System.out.print(script());
        return ExitStatus.OK;
    }

    private void add(String at, CommandSpec command) {
        List<String> below = new ArrayList<>();
        command.subcommands().forEach((name, line) -> {
            if (!line.getCommandSpec().usageMessage().hidden()) {
                below.add(name);
                add(at + " " + name, line.getCommandSpec());
            }
        });
        if (!below.isEmpty()) {
            commands.put(at, String.join(" ", below));
        }
        TreeSet<String> names = new TreeSet<>();
        for (OptionSpec option : command.options()) {
            if (option.hidden()) {
                continue;
            }
            for (String name : option.names()) {
                names.add(name);
                if (option.negatable() && name.startsWith("--")) {
                    names.add("--no-" + name.substring(2));
                }
                if (option.arity().max() > 0) {
                    values.put(at + " " + name, kind(option));
                }
            }
        }
        options.put(at, String.join(" ", names));
        for (PositionalParamSpec parameter : command.positionalParameters()) {
            int last = Math.min(parameter.index().max(), parameter.index().min() + PLACES);
            for (int i = parameter.index().min(); i <= last; i++) {
                values.put(at + " " + i, kind(parameter));
            }
        }
    }

    /** Words with bars between them, or a name in capitals. */
    private static String kind(ArgSpec value) {
        Iterable<String> candidates = value.completionCandidates();
        if (candidates != null && !value.paramLabel().contains("|")) {
            List<String> words = new ArrayList<>();
            candidates.forEach(words::add);
            return String.join("|", words);
        }
        String label = value.paramLabel().replaceFirst("^'", "").split("[^A-Za-z0-9|._-]", 2)[0];
        return label.contains("FILE") || label.equals("SOCKET") || label.equals("PATH") ? "FILE" : label;
    }

    private String script() throws IOException {
        String name = "completion." + shell;
        try (InputStream text = CompletionCommand.class.getResourceAsStream(name)) {
            if (text == null) {
                throw new IllegalStateException(name + " is missing");
            }
            return new String(text.readAllBytes(), StandardCharsets.UTF_8)
                    .replace("@COMMANDS@", table(commands))
                    .replace("@OPTIONS@", table(options))
                    .replace("@VALUES@", table(values));
        }
    }

    private String table(Map<String, String> entries) {
        return entries.entrySet().stream()
                .map(entry -> switch (shell) {
                    case "bash" -> "  ['" + entry.getKey() + "']='" + entry.getValue() + "'";
                    case "zsh" -> "  '" + entry.getKey() + "' '" + entry.getValue() + "'";
                    default -> "    case '" + entry.getKey() + "'\n      echo '" + entry.getValue() + "'";
                })
                .collect(Collectors.joining("\n"));
    }
}
