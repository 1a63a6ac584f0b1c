package org.torte.network.posix;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.Arena;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

class WakeupTest {
    @Test
    void aWakeThatIsClearedWhileItIsMadeDoesNotStay() throws Exception {
        int rounds = 2000;
        Wakeup wakeup = new Wakeup();
        CyclicBarrier round = new CyclicBarrier(2);
        AtomicInteger made = new AtomicInteger();
        Thread signaller = Thread.ofPlatform().daemon().start(() -> {
            try {
                for (int i = 1; i <= rounds; i++) {
                    round.await();
                    wakeup.signal();
                    made.set(i);
                }
            } catch (Exception e) {
                throw new AssertionError(e);
            }
        });
        int left = 0;
        try (Arena arena = Arena.ofConfined()) {
            PollSet polls = new PollSet(arena, wakeup.fd());
            for (int i = 1; i <= rounds; i++) {
                round.await();
                while (made.get() < i) {
                    wakeup.clear();
                }
                wakeup.clear();
                polls.await(0);
                left += polls.has(0) ? 1 : 0;
            }
        }
        signaller.join();
        wakeup.close();
        assertThat(left).as("times in which a poll would never wait again").isZero();
    }
}
