package org.torte.cli.management;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.torte.cli.UsageException;
import org.torte.management.process.TerminalQueries;
import org.torte.worker.control.ControlClient;

/** The console of a machine for a program, which types and waits for what it says; that is printed, too. */
final class ConsoleLink implements AutoCloseable {
    /** What is looked through: the last so many characters. */
    private static final int KEPT = 256 << 10;

    private final ControlClient client;
    private final StringBuilder said = new StringBuilder();
    private boolean ended;

    /** Takes over a connection. */
    ConsoleLink(ControlClient client) throws IOException {
        this.client = client;
        client.send(ConsoleSession.subscription());
        Thread.ofPlatform().name("torte-console").daemon().start(this::listen);
    }

    private void listen() {
        try {
            while (true) {
                byte[] output = TerminalQueries.removed(ConsoleSession.output(client.receive()));
                ConsoleSession.print(output);
                synchronized (this) {
                    said.append(new String(output, StandardCharsets.ISO_8859_1));
                    said.delete(0, Math.max(0, said.length() - KEPT));
                    notifyAll();
                }
            }
        } catch (IOException e) {
            // The machine has ended, or nobody listens any more.
            synchronized (this) {
                ended = true;
                notifyAll();
            }
        }
    }

    /** Waits until the console has said something; nothing when it does not, or the machine ends before. */
    synchronized Optional<Matcher> await(Pattern text, Duration limit) throws InterruptedException {
        long until = System.nanoTime() + limit.toNanos();
        while (true) {
            Matcher matcher = text.matcher(said.toString());
            if (matcher.find()) {
                return Optional.of(matcher);
            }
            long left = until - System.nanoTime();
            if (ended || left <= 0) {
                return Optional.empty();
            }
            TimeUnit.NANOSECONDS.timedWait(this, left);
        }
    }

    /** Types a line. */
    void type(String line) {
        try {
            client.send(ConsoleSession.typing((line + '\n').getBytes(StandardCharsets.ISO_8859_1)));
        } catch (IOException e) {
            throw new UsageException("the machine has ended; see torte vm list", e);
        }
    }

    @Override
    public void close() {
        client.close();
    }
}
