package org.torte.cli.management;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.torte.cli.CommandResult;

/** Real shells complete words, with names that a real service tells. */
class CompletionTest {
    @TempDir
    static Path folder;

    private static ServiceProcess service;
    private static Path bin;

    /** Prints what the last of its arguments is completed with. */
    private static final String BASH = """
            source "$1"
            shift
            COMP_WORDS=("$@")
            COMP_CWORD=$(($# - 1))
            _torte
            printf '%s\\n' "${COMPREPLY[@]}"
            """;

    /** Types a line and the tabulator at a shell of its own, and prints what the line is then. */
    private static final String ZSH = """
            zmodload zsh/zpty
            zpty shell zsh -f -i
            zpty -w shell "PS1= RPS1= ; unset zle_bracketed_paste; stty -echo; autoload -Uz compinit; compinit -u -D; source ${(q)1}"
            zpty -w shell 'told() { print -r -- "<<$BUFFER>>"; BUFFER=; }; zle -N told; bindkey "^X" told; print rea"dy"'
            all=
            until [[ $all == *ready* ]]; do zpty -r shell chunk || exit 1; all+=$chunk; done
            zpty -w -n shell "$2"$'\\t\\x18'
            all=
            until [[ $all == *'<<'*'>>'* ]]; do zpty -r shell chunk || exit 1; all+=$chunk; done
            all=${all##*<<}
            print -r -- "${all%%>>*}"
            """;

    @BeforeAll
    static void startService() throws IOException, InterruptedException {
        bin = Files.createDirectory(folder.resolve("bin"));
        Path checkout = Path.of("..", "torte").toAbsolutePath().normalize();
        Path torte = Files.writeString(bin.resolve("torte"), "#!/bin/sh\nexec '" + checkout + "' \"$@\"\n");
        assertThat(torte.toFile().setExecutable(true)).isTrue();
        for (String shell : List.of("bash", "zsh", "fish")) {
            Files.writeString(
                    folder.resolve("script." + shell),
                    CommandResult.of("completion", shell).assertDone().output());
        }
        Files.createFile(folder.resolve("my disk.vhdx"));
        String kernel = Files.writeString(folder.resolve("vmlinuz"), "kernel").toString();
        service = new ServiceProcess(folder.resolve("data"), "-XX:TieredStopAtLevel=1");
        service.start();
        for (String name : List.of("web.1-a_b", "db2")) {
            assertThat(service.call("POST", "/api/v1/vms", Map.of("name", name, "boot", Map.of("kernel", kernel)))
                            .good())
                    .isTrue();
        }
        ServiceProcess.Answer task =
                service.call("POST", "/api/v1/vms/db2/checkpoints", Map.of("name", "before-upgrade"));
        assertThat(service.call("GET", "/api/v1/tasks/" + task.body().path("id").asText() + "?wait=60", null)
                        .body()
                        .path("state")
                        .asText())
                .isEqualTo("succeeded");
    }

    @AfterAll
    static void endService() throws InterruptedException {
        service.close();
    }

    private static String run(Path data, String... command) throws IOException, InterruptedException {
        ProcessBuilder builder = new ProcessBuilder(command);
        builder.environment().put("TORTE_DATA", data.toString());
        builder.environment().put("HOME", folder.toString());
        builder.environment().put("TERM", "dumb");
        builder.environment().merge("PATH", bin.toString(), (old, first) -> first + ":" + old);
        Process process = builder.redirectErrorStream(true).start();
        process.getOutputStream().close();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(process.waitFor()).as(output).isZero();
        return output;
    }

    private static void assumeShell(String shell) {
        assumeTrue(
                Stream.of(System.getenv("PATH").split(":"))
                        .anyMatch(place -> Files.isExecutable(Path.of(place, shell))),
                shell + " is not here");
    }

    private static List<String> completed(Path data, String shell, String... words)
            throws IOException, InterruptedException {
        assumeShell(shell);
        List<String> command = new ArrayList<>();
        String script = folder.resolve("script." + shell).toString();
        String line = String.join(" ", words);
        switch (shell) {
            case "bash" -> {
                command.addAll(List.of("bash", "--norc", "-c", BASH, "bash", script));
                command.addAll(Arrays.asList(words));
            }
            case "zsh" -> command.addAll(List.of("zsh", "-f", "-c", ZSH, "zsh", script, line));
            default ->
                command.addAll(
                        List.of("fish", "--no-config", "-c", "source $argv[1]; complete -C $argv[2]", script, line));
        }
        return run(data, command.toArray(String[]::new))
                .lines()
                .map(String::strip)
                .filter(candidate -> !candidate.isEmpty())
                .toList();
    }

    /** Lines with one way to go on; zsh shows the line, the others the word. */
    @ParameterizedTest
    @CsvSource({
        "torte ch, checkpoint",
        "torte vm resta, restart",
        "torte image build t, tiny",
        "torte help vh, vhd",
        "torte vm start --ov, --overcommit",
        "torte vm start --no, --no-wait",
        "torte vm start -o j, json",
        "torte switch new lab --type n, nat",
        "torte vm list --state Ru, Running",
        "torte vm start w, web.1-a_b",
        "torte vm start --no-wait d, db2",
        "torte adapter connect db2 D, Default",
        "torte checkpoint apply db2 b, before-upgrade",
        "torte vm clone db2 new --checkpoint b, before-upgrade",
    })
    void aWordIsCompleted(String line, String word) throws IOException, InterruptedException {
        String whole = line.substring(0, line.lastIndexOf(' ') + 1) + word;
        List<String> shells =
                word.startsWith("--") || line.endsWith(" w") || line.endsWith(" ch") || line.endsWith(" b")
                        ? List.of("bash", "zsh", "fish")
                        : List.of("bash", "fish");
        for (String shell : shells) {
            assertThat(completed(folder.resolve("data"), shell, line.split(" ")))
                    .as(shell)
                    .containsExactly(shell.equals("zsh") ? whole : word);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"bash", "zsh", "fish"})
    void filesAreCompletedAlsoWithSpaces(String shell) throws IOException, InterruptedException {
        String begin = folder.resolve("my").toString();
        String file = folder.resolve("my disk.vhdx").toString();
        assertThat(completed(folder.resolve("data"), shell, "torte", "vhd", "info", begin))
                .containsExactly(shell.equals("zsh") ? "torte vhd info " + file.replace(" ", "\\ ") : file);
    }

    @ParameterizedTest
    @ValueSource(strings = {"bash", "zsh", "fish"})
    void valuesFollowAnEqualsSign(String shell) throws IOException, InterruptedException {
        // Bash makes three words of it.
        String[] words = shell.equals("bash")
                ? new String[] {"torte", "vm", "start", "--output", "=", "j"}
                : new String[] {"torte", "vm", "start", "--output=j"};
        String word = shell.equals("bash") ? "json" : "--output=json";
        assertThat(completed(folder.resolve("data"), shell, words))
                .containsExactly(shell.equals("zsh") ? "torte vm start " + word : word);
    }

    /** Nobody waits for a service, nobody is told that there is none, and none is started. */
    @Test
    void withoutAServiceThereAreNoNames() throws IOException, InterruptedException {
        Path nothing = folder.resolve("nothing");
        for (String shell : List.of("bash", "fish")) {
            assertThat(completed(nothing, shell, "torte", "vm", "start", "w")).isEmpty();
        }
        assertThat(completed(
                        nothing,
                        "bash",
                        "torte",
                        "vm",
                        "start",
                        "--data",
                        folder.resolve("data").toString(),
                        "w"))
                .containsExactly("web.1-a_b");
        assertThat(nothing).doesNotExist();
    }

    @Test
    void anUnknownShellIsNamed() {
        assertThat(CommandResult.of("completion", "tcsh").assertWrongUsage().errors())
                .contains("bash, zsh or fish");
    }
}
