package org.torte.cli.management;

import com.fasterxml.jackson.databind.JsonNode;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import org.torte.cli.UsageException;
import org.torte.cli.output.Json;
import org.torte.cli.output.Output;
import picocli.CommandLine.Option;

/** What every command has that asks the service. */
abstract class ServiceOptions implements Callable<Integer> {
    @Option(
            names = "--data",
            paramLabel = "FOLDER",
            description = "the service's data folder (default: $TORTE_DATA, else the user's data folder)")
    @Nullable
    String data;

    @Option(
            names = {"-o", "--output"},
            paramLabel = "text|json",
            converter = Output.Named.class,
            description = "text (the default) or json")
    Output output = Output.TEXT;

    private @Nullable ServiceClient client;

    /** The service. */
    ServiceClient service() {
        ServiceClient known = client;
        if (known == null) {
            known = new ServiceClient(folder(data));
            client = known;
        }
        return known;
    }

    /** The data folder that was given, or the user's. */
    static Path folder(@Nullable String given) {
        String text = given != null ? given : System.getenv("TORTE_DATA");
        try {
            if (text != null && !text.isEmpty()) {
                return Path.of(text).toAbsolutePath().normalize();
            }
            String home = System.getenv("XDG_DATA_HOME");
            Path base = home != null && home.startsWith("/")
                    ? Path.of(home)
                    : Path.of(System.getProperty("user.home", "/"), ".local", "share");
            return base.resolve("torte");
        } catch (InvalidPathException e) {
            throw new UsageException("--data takes the path of a folder, not \"" + text + "\"", e);
        }
    }

    /** Prints one of two forms of a result. */
    void show(JsonNode json, String text) {
        if (output == Output.JSON) {
            System.out.print(Json.of(org.torte.management.definition.Json.MAPPER.convertValue(json, Object.class)));
        } else {
            System.out.print(text);
        }
    }
}
