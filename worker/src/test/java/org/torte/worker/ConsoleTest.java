package org.torte.worker;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayOutputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.torte.machine.SerialEndpoint;
import org.torte.machine.SerialPort;

class ConsoleTest {
    private static final Duration LONG = Duration.ofMinutes(1);

    private final FakePort port = new FakePort();

    @Test
    void waitingGivesAllThatWasPrintedUpToTheText() {
        try (Console console = new Console(port, null)) {
            port.print("booting...\r\nlogin: rest");

            assertThat(console.waitForText("login:", LONG)).isEqualTo("booting...\r\nlogin:");
            assertThat(console.readAvailable()).isEqualTo(" rest");
        }
    }

    @Test
    void waitingSeesTextThatComesLater() {
        try (Console console = new Console(port, null)) {
            Thread guest = Thread.ofVirtual().start(() -> port.print("value 42\nü\n"));

            assertThat(console.waitForText(Pattern.compile("ü\n"), LONG)).isEqualTo("value 42\nü\n");
            assertThat(guest).isNotNull();
        }
    }

    @Test
    void aTextThatDoesNotComeIsAnErrorThatShowsTheOutput() {
        try (Console console = new Console(port, null)) {
            port.print("something else");

            assertThatThrownBy(() -> console.waitForText("login:", Duration.ofMillis(1)))
                    .isInstanceOf(TextNotFoundException.class)
                    .hasMessageContaining("something else");
        }
    }

    @Test
    void typedTextWaitsForRoomInThePort() throws InterruptedException {
        try (Console console = new Console(port, null)) {
            console.type("0123456789abcdefXYZ");

            StringBuilder read = new StringBuilder();
            while (read.length() < 19) {
                read.append((char) port.takeAsGuest());
            }
            assertThat(read).hasToString("0123456789abcdefXYZ");
        }
    }

    @Test
    void allOutputIsCopied() {
        ByteArrayOutputStream copy = new ByteArrayOutputStream();
        String text = "line of output\n".repeat(20_000);
        try (Console console = new Console(port, copy)) {
            port.print(text);
            assertThat(console.pendingInput()).isZero();
        }
        assertThat(copy.toString(StandardCharsets.UTF_8)).isEqualTo(text);
    }

    @Test
    void theLastOutputCanBeRecalledWhoeverHasReadIt() {
        try (Console console = new Console(port, null)) {
            assertThat(recalled(console)).isEmpty();
            port.print("one");
            assertThat(console.readAvailable()).isEqualTo("one");
            assertThat(recalled(console)).isEqualTo("one");
            String much = "0123456789".repeat(Console.SCROLLBACK / 10) + "the end";
            port.print(much);
            String all = "one" + much;
            assertThat(recalled(console)).isEqualTo(all.substring(all.length() - Console.SCROLLBACK));
        }
    }

    private static String recalled(Console console) {
        StringBuilder last = new StringBuilder();
        console.recall(bytes -> last.append(new String(bytes, StandardCharsets.ISO_8859_1)));
        return last.toString();
    }

    @Test
    void aStuckCopyLosesOutputInsteadOfStoppingTheGuest() {
        CountDownLatch unstuck = new CountDownLatch(1);
        OutputStream stuck = new OutputStream() {
            @Override
            public void write(int b) {
                try {
                    unstuck.await();
                } catch (InterruptedException e) {
                    Thread.currentThread().interrupt();
                }
            }
        };
        try (Console console = new Console(port, stuck)) {
            port.print("x".repeat(200_000) + "end");

            assertThat(console.waitForText("end", LONG)).endsWith("end");
            unstuck.countDown();
        }
    }

    /** A port with a guest on the other side that reads only when asked to. */
    private static final class FakePort implements SerialPort {
        private final LinkedBlockingQueue<Integer> received = new LinkedBlockingQueue<>(16);
        private volatile SerialEndpoint endpoint = SerialEndpoint.NONE;
        private final LinkedBlockingQueue<Boolean> resumed = new LinkedBlockingQueue<>();

        @Override
        public void attach(SerialEndpoint newEndpoint) {
            endpoint = newEndpoint;
        }

        @Override
        public int receive(byte[] bytes, int offset, int length) {
            int count = 0;
            while (count < length && received.offer(bytes[offset + count] & 0xff)) {
                count++;
            }
            return count;
        }

        @Override
        public void resumeOutput() {
            resumed.add(true);
        }

        @Override
        public void sendBreak() {}

        int takeAsGuest() throws InterruptedException {
            Integer value = received.poll(60, TimeUnit.SECONDS);
            assertThat(value).as("a typed byte").isNotNull();
            if (received.isEmpty()) {
                endpoint.readyToReceive();
            }
            return value;
        }

        /** Prints as a guest does: what is refused is offered again when the port is told to go on. */
        void print(String text) {
            for (byte b : text.getBytes(StandardCharsets.UTF_8)) {
                while (!endpoint.transmit(b & 0xff)) {
                    try {
                        assertThat(resumed.poll(60, TimeUnit.SECONDS))
                                .as("told to go on")
                                .isNotNull();
                    } catch (InterruptedException e) {
                        throw new AssertionError(e);
                    }
                }
            }
        }
    }
}
