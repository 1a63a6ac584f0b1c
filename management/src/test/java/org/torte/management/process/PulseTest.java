package org.torte.management.process;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** A process that is stopped and lets go on, and what is told of it. */
class PulseTest {
    private final List<Optional<String>> told = new CopyOnWriteArrayList<>();
    private Process process;

    @BeforeEach
    void begin() throws IOException {
        process = new ProcessBuilder("sleep", "3600").start();
    }

    @AfterEach
    void end() {
        process.destroyForcibly();
    }

    private void signal(String which) throws IOException, InterruptedException {
        assertThat(new ProcessBuilder("kill", which, Long.toString(process.pid()))
                        .start()
                        .waitFor())
                .isZero();
    }

    /** Looks until something new is told, as long as that takes. */
    private void lookUntilTold(Pulse pulse, int count) throws InterruptedException {
        while (told.size() < count) {
            pulse.look();
            Thread.sleep(10);
        }
    }

    @Test
    void silenceIsToldOnceWithItsCauseAndSoIsItsEnd() throws IOException, InterruptedException {
        signal("-STOP");
        Pulse pulse = new Pulse(process.toHandle(), false);
        pulse.watch(told::add);
        pulse.look();
        assertThat(told).as("nothing is expected of it yet").isEmpty();
        assertThat(pulse.isDue()).isTrue();
        assertThat(pulse.isDue()).as("a question is open").isFalse();
        pulse.look();
        assertThat(told).as("there is time").isEmpty();
        lookUntilTold(pulse, 1);
        assertThat(told.getFirst().orElseThrow())
                .contains("process " + process.pid() + ", does not answer; somebody has stopped it")
                .contains("kill -CONT " + process.pid());
        pulse.look();
        assertThat(told).hasSize(1);
        signal("-CONT");
        pulse.felt();
        pulse.felt();
        assertThat(told).hasSize(2).last().isEqualTo(Optional.empty());
        assertThat(pulse.isDue()).isTrue();
    }

    @Test
    void oneThatWasFoundHangingIsToldToWhoeverAsksLater() throws InterruptedException {
        Pulse pulse = new Pulse(process.toHandle(), true);
        pulse.watch(told::add);
        lookUntilTold(pulse, 1);
        told.clear();
        pulse.watch(told::add);
        assertThat(told).singleElement().satisfies(cause -> assertThat(cause).isPresent());
    }
}
