package org.torte.management.process;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.torte.management.Problem;
import org.torte.management.store.DurableFile;
import org.torte.management.store.Reason;
import org.torte.network.NetworkException;
import org.torte.network.process.ConfigurationProblem;
import org.torte.network.process.NetworkConfiguration;
import org.torte.network.process.SwitchClient;
import org.torte.network.process.SwitchServer;
import org.torte.network.process.SwitchStarter;

/** The process that has the switches of a data folder, seen from the service. Safe for several threads. */
public final class SwitchProcess implements SwitchHost {
    /** What the kernel takes as a path of a socket, less what its maker adds for a moment. */
    private static final int MAX_SOCKET = 90;

    private final Path folder;
    private final SwitchStarter starter;

    /**
     * The process of a folder.
     *
     * @param data the data folder
     * @param command starts it
     */
    public SwitchProcess(Path data, List<String> command) {
        folder = folder(data);
        starter = new SwitchStarter(folder, command);
    }

    /** Where the switches of a data folder keep everything. */
    public static Path folder(Path data) {
        return data.resolve("network");
    }

    @Override
    public void configure(NetworkConfiguration configuration) {
        try {
            DurableFile.makeFolder(folder);
            DurableFile.replace(SwitchServer.configuration(folder), configuration.text());
        } catch (IOException e) {
            throw new Problem(
                    Problem.Kind.UNAVAILABLE,
                    "the configuration of the switches cannot be written (" + Reason.of(e) + ")",
                    "make room, and give the user of the service permission to write in " + folder,
                    e);
        }
    }

    @Override
    public void start() {
        Path socket = SwitchServer.socket(folder);
        if (socket.toString().getBytes(StandardCharsets.UTF_8).length > MAX_SOCKET) {
            throw new Problem(
                    Problem.Kind.UNAVAILABLE,
                    "the path of the switches' socket " + socket + " is too long for the kernel",
                    "use a data folder with a shorter path (--data)");
        }
        try {
            starter.start();
        } catch (NetworkException e) {
            throw failed(e);
        }
    }

    @Override
    public boolean runs() {
        try {
            return starter.runs();
        } catch (NetworkException e) {
            throw failed(e);
        }
    }

    @Override
    public List<ConfigurationProblem> reload() {
        try (SwitchClient client = SwitchClient.connect(SwitchServer.socket(folder))) {
            return client.reload();
        } catch (IOException | NetworkException e) {
            throw failed(e);
        }
    }

    @Override
    public Map<?, ?> status() {
        try (SwitchClient client = SwitchClient.connect(SwitchServer.socket(folder))) {
            return client.status();
        } catch (IOException | NetworkException e) {
            throw failed(e);
        }
    }

    private Problem failed(Exception e) {
        return new Problem(
                Problem.Kind.FAILED,
                "the switch process does not do what it should (" + e.getMessage() + ")",
                "look at " + folder.resolve("switch.log"),
                e);
    }
}
