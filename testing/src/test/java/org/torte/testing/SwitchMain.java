package org.torte.testing;

import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.torte.base.Clock;
import org.torte.base.RandomSource;
import org.torte.base.TimerThread;
import org.torte.network.process.SwitchServer;

/** The switch process of tests: until it is killed, or nobody has needed it for a minute. */
final class SwitchMain {
    private SwitchMain() {}

    /** What starts it. */
    static List<String> command(Path folder) {
        return List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--enable-native-access=ALL-UNNAMED",
                "-XX:TieredStopAtLevel=1",
                "-cp",
                System.getProperty("java.class.path"),
                SwitchMain.class.getName(),
                folder.toString());
    }

    public static void main(String[] arguments) throws InterruptedException {
        try (TimerThread timers = new TimerThread(Clock.system(), "timers")) {
            timers.resume();
            try (SwitchServer server =
                    SwitchServer.open(Path.of(arguments[0]), timers, RandomSource.secure(), _ -> {})) {
                server.awaitIdle(Duration.ofMinutes(1));
            }
        }
    }
}
