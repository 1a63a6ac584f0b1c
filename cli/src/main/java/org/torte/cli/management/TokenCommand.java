package org.torte.cli.management;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.torte.cli.GroupCommand;
import org.torte.cli.output.Output;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code torte token}. */
@Command(
        name = "torte token",
        description = "Makes, lists and removes the tokens with which others may ask the service.",
        sortOptions = false,
        subcommands = {TokenCommand.ListTokens.class, TokenCommand.New.class, TokenCommand.Remove.class})
public final class TokenCommand extends GroupCommand {
    private static final String PATH = "/api/v1/tokens";

    @Command(name = "list", description = "Lists tokens.", sortOptions = false)
    static final class ListTokens extends ServiceOptions {
        @Override
        public Integer call() {
            JsonNode tokens = service().get(PATH);
            List<List<String>> rows = new ArrayList<>();
            rows.add(List.of("NAME", "ROLE", "MADE"));
            for (JsonNode token : tokens) {
                rows.add(List.of(
                        token.path("name").asText(),
                        token.path("role").asText(),
                        token.path("created").asText()));
            }
            show(tokens, Output.table(rows));
            return 0;
        }
    }

    @Command(name = "new", description = "Makes a token, and shows it this once.", sortOptions = false)
    static final class New extends ChangeCommand {
        @Parameters(index = "0", paramLabel = "NAME", description = "what it is to be called")
        String name = "";

        @Option(
                names = "--role",
                required = true,
                paramLabel = "viewer|operator|administrator",
                description = "viewer (looks), operator (starts and stops too) or administrator (everything)")
        String role = "";

        @Override
        public Integer call() {
            return change(
                    "POST",
                    PATH,
                    Map.of("name", name, "role", role),
                    "make the token " + name + " with the role " + role,
                    token -> token.path("token").asText() + "\n");
        }
    }

    @Command(name = "remove", description = "Removes a token.", sortOptions = false)
    static final class Remove extends ChangeCommand {
        @Parameters(index = "0", paramLabel = "TOKEN", description = "which")
        String name = "";

        @Override
        public Integer call() {
            return change(
                    "DELETE", PATH + "/" + ServiceClient.segment(name), null, "remove the token " + name, _ -> "");
        }
    }
}
