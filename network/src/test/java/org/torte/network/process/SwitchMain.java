package org.torte.network.process;

import java.nio.file.Path;
import java.time.Duration;
import org.torte.base.Clock;
import org.torte.base.RandomSource;
import org.torte.base.TimerThread;

/** The switch process of tests: until it is killed, or nobody has needed it for a minute. */
final class SwitchMain {
    private SwitchMain() {}

    public static void main(String[] arguments) throws InterruptedException {
        try (TimerThread timers = new TimerThread(Clock.system(), "timers")) {
            timers.resume();
            try (SwitchServer server =
                    SwitchServer.open(Path.of(arguments[0]), timers, RandomSource.secure(), SwitchMain::say)) {
                server.awaitIdle(Duration.ofMinutes(1));
            }
        }
    }

    private static void say(String line) {
        System.out.println(line);
    }
}
