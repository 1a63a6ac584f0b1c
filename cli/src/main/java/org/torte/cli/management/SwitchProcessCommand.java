package org.torte.cli.management;

import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.torte.base.Clock;
import org.torte.base.RandomSource;
import org.torte.base.TimerThread;
import org.torte.network.process.SwitchServer;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

/** {@code torte switch-process}: the process that has the switches, which the service and workers start. */
@Command(
        name = "torte switch-process",
        description = "Runs the switches of a folder until nobody needs them. The service does this.",
        sortOptions = false)
public final class SwitchProcessCommand implements Callable<Integer> {
    /** How long it stays after the last machine has gone. */
    private static final Duration IDLE = Duration.ofSeconds(60);

    private static final int CLOSE_SECONDS = 5;

    @Parameters(index = "0", paramLabel = "FOLDER", description = "the folder of the switches")
    Path folder = Path.of("");

    /** What starts it. */
    static List<String> command(Path folder) {
        return SelfCommand.of("switch-process", folder.toString());
    }

    @Override
    public Integer call() throws InterruptedException {
        CountDownLatch closed = new CountDownLatch(1);
        Thread waiting = Thread.currentThread();
        // A signal is an order to end: what the host was given is taken back before the process does.
        Runtime.getRuntime().addShutdownHook(Thread.ofPlatform().unstarted(() -> {
            waiting.interrupt();
            try {
                if (!closed.await(CLOSE_SECONDS, TimeUnit.SECONDS)) {
                    System.err.println("torte: the switches have not been closed in time");
                }
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }));
        try (TimerThread timers = new TimerThread(Clock.system(), "torte-switch-timers")) {
            timers.resume();
            try (SwitchServer server = SwitchServer.open(
                    folder.toAbsolutePath().normalize(), timers, RandomSource.secure(), SwitchProcessCommand::say)) {
                awaitIdle(server);
            }
        } finally {
            closed.countDown();
        }
        return 0;
    }

    private static void say(String line) {
        System.out.println("torte: " + line);
    }

    private static void awaitIdle(SwitchServer server) {
        try {
            server.awaitIdle(IDLE);
        } catch (InterruptedException e) {
            // The end that a signal asks for; what follows must not be interrupted.
            return;
        }
    }
}
