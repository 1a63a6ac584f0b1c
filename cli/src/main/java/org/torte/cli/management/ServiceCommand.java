package org.torte.cli.management;

import java.io.IOException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.InstantSource;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.logging.Level;
import java.util.logging.Logger;
import org.jspecify.annotations.Nullable;
import org.torte.cli.HelpOption;
import org.torte.cli.Quantities;
import org.torte.cli.UsageException;
import org.torte.management.DataFolder;
import org.torte.management.Host;
import org.torte.management.Problem;
import org.torte.management.definition.VmDefinition;
import org.torte.management.process.SwitchProcess;
import org.torte.management.process.WorkerProcesses;
import org.torte.management.rest.Access;
import org.torte.management.rest.RestServer;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code torte service}. */
@Command(
        name = "torte service",
        description = "Runs the service of this host in the foreground, until it is ended by a signal.",
        sortOptions = false,
        footer = {
            "",
            "Virtual machines run in processes of their own, and go on when the service ends. The other commands start the",
            "service if it does not run. It listens on 127.0.0.1 only; service.json in the data folder says at which port,",
            "and has the token of its user. See docs/management.md."
        })
public final class ServiceCommand implements Callable<Integer> {
    /** Kept here, since loggers that nobody holds lose their level. */
    private static final Logger LIBRARIES = Logger.getLogger("org.eclipse.jetty");

    private static final Logger JAVALIN = Logger.getLogger("io.javalin");

    private static final int CLOSE_SECONDS = 5;

    @Option(
            names = "--data",
            paramLabel = "FOLDER",
            description = "where it keeps everything (default: $TORTE_DATA, else the user's data folder)")
    @Nullable
    String data;

    @Option(
            names = "--port",
            paramLabel = "PORT",
            description = "where it listens (default: where it did the last time if that is free, else any)")
    @Nullable
    String port;

    @Mixin
    HelpOption help = new HelpOption();

    @Override
    public Integer call() throws IOException, InterruptedException {
        LIBRARIES.setLevel(Level.WARNING);
        JAVALIN.setLevel(Level.WARNING);
        int wanted = port == null ? -1 : Quantities.integer("--port", port);
        if (wanted > 65535 || (port != null && wanted < 0)) {
            throw new UsageException("--port takes 0 to 65535, not \"" + port + "\"");
        }
        InstantSource clock = InstantSource.system();
        CountDownLatch closed = new CountDownLatch(1);
        try (DataFolder folder = DataFolder.open(ServiceOptions.folder(data));
                Host host = Host.open(
                        folder,
                        new WorkerProcesses(
                                folder.path(),
                                (machine, definition, control) -> SelfCommand.ofMachine(
                                        definition.translator() == VmDefinition.Translator.ON,
                                        "worker",
                                        machine.toString(),
                                        "--control",
                                        control.toString(),
                                        "--switches",
                                        SwitchProcess.folder(folder.path()).toString())),
                        new SwitchProcess(
                                folder.path(), SwitchProcessCommand.command(SwitchProcess.folder(folder.path()))),
                        clock)) {
            Access access = new Access(folder.tokens(), clock);
            String token = access.owner();
            try (RestServer server = new RestServer(host, access, clock)) {
                int at = listen(server, folder.path(), wanted);
                folder.announce(new DataFolder.Address(
                        "http://127.0.0.1:" + at, token, ProcessHandle.current().pid()));
                System.out.println("torte: the service of " + folder.path() + " listens on http://127.0.0.1:" + at);
                awaitSignal(closed);
            }
        } finally {
            closed.countDown();
        }
        return 0;
    }

    /** The port of the last time lets those who know it go on; another is as good. */
    private static int listen(RestServer server, Path folder, int wanted) throws IOException {
        if (wanted >= 0) {
            return server.start(wanted);
        }
        try {
            String url = DataFolder.announced(folder).url();
            return server.start(Integer.parseInt(url.substring(url.lastIndexOf(':') + 1)));
        } catch (NoSuchFileException e) {
            // This is the first time.
            return server.start(0);
        } catch (Problem | NumberFormatException e) {
            System.out.println("torte: the port of the last time cannot be used; another is");
        }
        return server.start(0);
    }

    private static void awaitSignal(CountDownLatch closed) throws InterruptedException {
        CountDownLatch signal = new CountDownLatch(1);
        Runtime.getRuntime().addShutdownHook(Thread.ofPlatform().unstarted(() -> {
            signal.countDown();
            try {
                // What is open is closed in order before the process ends. The thread that does it cannot be waited
                // for: it
                // goes on to exit, which waits for this hook.
                if (!closed.await(CLOSE_SECONDS, TimeUnit.SECONDS)) {
                    System.err.println("torte: the service has not closed everything in time");
                }
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }));
        signal.await();
    }
}
