package org.torte.cli.management;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.torte.cli.CommandResult;
import org.torte.management.definition.Json;

/** The commands of an administrator, with a real service and machines that are off. */
class AdministratorTest {
    @TempDir
    static Path folder;

    private static ServiceProcess service;
    private static String kernel;

    @BeforeAll
    static void startService() throws IOException, InterruptedException {
        kernel = Files.writeString(folder.resolve("vmlinuz"), "kernel").toString();
        service = new ServiceProcess(folder.resolve("data"), "-XX:TieredStopAtLevel=1");
        service.start();
        make("web1");
        make("db2");
        assertThat(service.call("PATCH", "/api/v1/vms/db2", Map.of("notes", "grüße €"))
                        .good())
                .isTrue();
    }

    private static void make(String name) throws IOException, InterruptedException {
        Map<String, Object> body = Map.of(
                "name",
                name,
                "boot",
                Map.of("kernel", kernel),
                "adapters",
                List.of(Map.of("network", "switch:Default", "forwards", List.of("2222:22"))));
        assertThat(service.call("POST", "/api/v1/vms", body).good()).isTrue();
    }

    @AfterAll
    static void endService() throws InterruptedException {
        service.close();
    }

    /** Runs a line, in which words in capitals stand for a file, folders and an empty word. */
    private static CommandResult torte(String line) {
        List<String> words = new ArrayList<>();
        for (String word : line.split(" ", -1)) {
            words.add(
                    switch (word) {
                        case "KERNEL" -> kernel;
                        case "NEW" -> folder.resolve("new").toString();
                        case "OLD" -> folder.toString();
                        case "EMPTY" -> "";
                        default -> word;
                    });
        }
        if (!words.contains("--data")) {
            words.addAll(List.of("--data", folder.resolve("data").toString()));
        }
        return CommandResult.of(words.toArray(String[]::new));
    }

    private static JsonNode json(String line) {
        return Json.read(
                torte(line + " -o json").assertDone().output().getBytes(StandardCharsets.UTF_8), JsonNode.class, line);
    }

    private static String state() {
        StringBuilder all = new StringBuilder();
        for (String list :
                List.of("vm list", "checkpoint list web1", "switch list", "token list", "adapter list web1")) {
            all.append(json(list));
        }
        return all.toString();
    }

    @Test
    void aListOfMachinesIsAnArrayOfNamesAndStatesAlsoWhenItIsEmpty() {
        JsonNode all = json("vm list");
        assertThat(all.isArray()).isTrue();
        assertThat(all).hasSize(2);
        assertThat(all.path(1).path("name").asText()).isEqualTo("web1");
        assertThat(all.path(1).path("state").asText()).isEqualTo("Off");
        assertThat(json("vm list --state Running").toString()).isEqualTo("[]");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "vm get db2",
                "checkpoint list web1",
                "switch list",
                "switch get Default",
                "adapter list web1",
                "adapter get web1",
                "adapter forward web1",
                "task list",
                "token list",
                "host",
                "vm set web1 --notes x --what-if",
                "vm remove web1 --what-if",
                "checkpoint new web1 --what-if",
                "switch new lab --type private --what-if",
                "token new ci --role viewer --what-if",
                "vm start web1 --what-if",
                "vm clone web1 web9 --what-if",
                "vm export web1 NEW --what-if",
                "vm rename web1 web9 --what-if",
                "adapter connect web1 Default --what-if",
            })
    void whatAProgramReadsIsJsonAndNothingElseAndNothingChanges(String line) {
        String before = state();
        assertThat(json(line).isMissingNode()).isFalse();
        assertThat(state()).isEqualTo(before);
    }

    /** What would be refused is refused also when it is only asked about. */
    @ParameterizedTest
    @CsvSource({
        "vm new web1 --kernel KERNEL, already",
        "vm new web3 --kernel /nowhere/vmlinuz, no file",
        "vm new web3 --kernel OLD, no file",
        "vm new web3, nothing to start from",
        "vm set web1 --processors 1000, 1 to 64",
        "vm rename web1 db2, already",
        "vm pause web1, start it first",
        "vm resume web1, start it first",
        "vm discard web1, nothing to discard",
        "vm clone web1 db2, already",
        "vm export web1 OLD, already",
        "vm register /nowhere, no definition",
        "checkpoint apply web1 nothing, torte checkpoint list",
        "checkpoint new web1 a/b, no name",
        "checkpoint remove web1 nothing, torte checkpoint list",
        "switch new Default --type private, already",
        "switch new lab --type banana, not",
        "switch remove Default, always there",
        "adapter connect web1 nowhere, torte switch list",
        "adapter set web1 --vlan banana, banana",
        "adapter forward web1 99999:22, 1 to 65535",
        "token new owner --role viewer, already",
        "token new ci --role king, not one of viewer",
        "token remove nobody, torte token list",
        "task cancel 9999, torte task list",
    })
    void whatCannotBeIsRefusedAlsoWhenItIsOnlyAskedAbout(String line, String words) {
        String before = state();
        String asked = torte(line + " --what-if").assertWrongUsage().errors();
        assertThat(asked).contains(words);
        assertThat(torte(line).assertWrongUsage().errors()).isEqualTo(asked);
        assertThat(state()).isEqualTo(before);
    }

    @ParameterizedTest
    @CsvSource({
        "vm get EMPTY, the name is empty",
        "vm get nobody, torte vm list",
        "vm get web1 db2, one argument too many",
        "vm nonsense, there is no command \"nonsense\"",
        "vm list -o xml, text or json",
        "vm list --state on, Running",
        "vm new web3 --kernel EMPTY, --kernel takes the path of a file",
        "vm stop web1 --turn-off --save, exclude each other",
        "vm stop web1 --turn-off --timeout 5s, exclude each other",
        "vm stop web1 --timeout 9999h, 1 to 86400",
        "vm set web1, nothing to change",
        "vm connect web1, start it with",
        "vm import /nowhere, cannot be read",
        "task get x, torte task list",
        "task list --limit x, is not a whole number",
        "event --after x, is not a whole number",
        "adapter capture web1 --out NEW, start it with",
        "vm list --data EMPTY, --data is empty",
    })
    void aMistakeIsOneLineWithCauseAndRemedy(String line, String words) {
        CommandResult result = torte(line);
        assertThat(result.assertWrongUsage().errors()).contains(words);
        assertThat(result.output()).isEmpty();
    }

    @Test
    void aTaskIsWaitedForUnlessItIsNotToBe() {
        assertThat(torte("checkpoint new web1 one --no-wait").assertDone().output())
                .matches("task \\d+ has begun\\R");
        String number =
                torte("checkpoint new db2 two --no-wait").assertDone().output().replaceAll("\\D", "");
        assertThat(json("task get " + number + " --wait").path("state").asText())
                .isEqualTo("succeeded");
        assertThat(json("checkpoint remove db2 two --wait").path("state").asText())
                .isEqualTo("succeeded");
        assertThat(json("checkpoint list db2").path("items")).isEmpty();
        JsonNode first = json("task list").path(json("task list").size() - 1);
        assertThat(json("task get " + first.path("id").asText() + " --wait")
                        .path("state")
                        .asText())
                .isEqualTo("succeeded");
        assertThat(json("checkpoint remove web1 one").path("state").asText()).isEqualTo("succeeded");
    }

    @Test
    void aMachineIsRenamedAndItsTextIsWhatWasWritten() {
        torte("vm rename db2 db3").assertDone();
        assertThat(torte("vm get db3").assertDone().output()).contains("grüße €");
        torte("vm rename DB3 db2").assertDone();
    }

    @Test
    void helpIsThatOfTheCommandItNames() {
        String shown = CommandResult.of("help", "vm", "new").assertDone().output();
        assertThat(shown)
                .startsWith("Usage: torte vm new")
                .isEqualTo(CommandResult.of("vm", "new", "--help").assertDone().output());
        assertThat(CommandResult.of("help", "nonsense").assertWrongUsage().errors())
                .contains("\"nonsense\"");
        assertThat(CommandResult.of("version", "x").assertWrongUsage().errors()).contains("no arguments");
        assertThat(CommandResult.of("").assertWrongUsage().errors()).contains("no command \"\"");
    }
}
