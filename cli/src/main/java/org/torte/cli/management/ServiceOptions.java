package org.torte.cli.management;

import com.fasterxml.jackson.databind.JsonNode;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import org.torte.cli.UsageException;
import org.torte.cli.output.OutputOption;
import org.torte.management.definition.Json;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** What every command has that asks the service. */
abstract class ServiceOptions implements Callable<Integer> {
    @Option(
            names = "--data",
            paramLabel = "FOLDER",
            description = "the service's data folder (default: $TORTE_DATA, else the user's data folder)")
    @Nullable
    String data;

    @Mixin
    OutputOption output = new OutputOption();

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
        if (given != null && given.isEmpty()) {
            throw new UsageException("--data is empty; give the path of a folder, or leave it out");
        }
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
        output.show(Json.MAPPER.convertValue(json, Object.class), text);
    }
}
