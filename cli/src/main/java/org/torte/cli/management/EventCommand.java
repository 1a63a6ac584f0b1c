package org.torte.cli.management;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.torte.cli.HelpOption;
import org.torte.cli.UsageException;
import org.torte.cli.output.Output;
import org.torte.management.definition.Json;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code torte event}. */
@Command(
        name = "torte event",
        description = "Shows what has happened, and with --follow what happens. With -o json one object a line.",
        sortOptions = false)
public final class EventCommand extends ServiceOptions {
    @Option(names = "--after", paramLabel = "N", description = "only those after this one")
    @Nullable
    Long after;

    @Option(names = "--follow", description = "goes on with what happens, until Ctrl-C")
    boolean follow;

    @Mixin
    HelpOption help = new HelpOption();

    @Override
    public Integer call() throws IOException {
        if (!follow) {
            String cursor = after == null ? "0" : after.toString();
            while (true) {
                JsonNode page = service().get("/api/v1/events?limit=1000&cursor=" + cursor);
                page.path("items").forEach(this::print);
                if (!page.path("next").isTextual() || System.out.checkError()) {
                    return 0;
                }
                cursor = page.path("next").asText();
            }
        }
        try (BufferedReader lines = new BufferedReader(
                new InputStreamReader(service().events(Optional.ofNullable(after)), StandardCharsets.UTF_8))) {
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                if (line.startsWith("data: ")) {
                    print(Json.read(
                            line.substring("data: ".length()).getBytes(StandardCharsets.UTF_8),
                            JsonNode.class,
                            "an event"));
                    if (System.out.checkError()) {
                        // Nobody reads any more, as after head.
                        return 0;
                    }
                }
            }
        }
        throw new UsageException("the service has ended; ask again with --after and the last number");
    }

    private void print(JsonNode event) {
        System.out.println(
                output.json()
                        ? Json.text(event)
                        : event.path("id").asText() + "  " + event.path("time").asText() + "  "
                                + event.path("type").asText() + "  "
                                + event.path("subject").asText() + "  "
                                + Output.printable(event.path("data").toString()));
        System.out.flush();
    }
}
