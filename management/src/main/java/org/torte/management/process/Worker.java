package org.torte.management.process;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.function.Consumer;

/** The worker process of a running virtual machine, seen from the service. Safe for several threads. */
public interface Worker {
    /** The number of the process. */
    long processId();

    /**
     * Completes when its virtual machine has been made and can be asked, exceptionally with a {@link
     * org.torte.management.Problem} when there will be none.
     */
    CompletableFuture<Void> ready();

    /** Completes when the process is gone. */
    CompletableFuture<WorkerEnd> end();

    /**
     * Asks it for something, by the control protocol.
     *
     * @return completes with the answer, or exceptionally with a {@link org.torte.management.Problem}
     */
    default CompletableFuture<JsonNode> ask(String command, Map<String, ?> arguments) {
        return ask(command, arguments, _ -> {});
    }

    /**
     * Asks it for something that takes a while.
     *
     * @param progress told what the worker says meanwhile, on a thread of the worker's
     * @return as without
     */
    CompletableFuture<JsonNode> ask(String command, Map<String, ?> arguments, Consumer<String> progress);

    /**
     * Says that the answer is not wanted any more. What was asked for ends if it still can without harm: it is answered in
     * any case, as cancelled or as what it came to.
     *
     * @param asked what {@link #ask} gave
     */
    void cancel(CompletableFuture<JsonNode> asked);

    /**
     * Has somebody told when it stops answering, with what is known of its process, and when it answers again, with nothing.
     * Told on a thread of the worker's; at once, if it does not answer now. For one listener.
     */
    void watch(Consumer<Optional<String>> listener);

    /** Hears what a console says. Told on one thread, and does not block. */
    interface ConsoleListener {
        /**
         * The console has said something.
         *
         * @param old whether that was before anybody listened
         */
        void said(byte[] output, boolean old);

        /** There will be no more: the worker is gone, or has nobody listen any more. */
        void ended();
    }

    /** Ends with its closing; the listener may hear a last word after that. */
    interface Listening extends AutoCloseable {
        @Override
        void close();
    }

    /** Has somebody hear the console: what it has said last, and from then on all it says. Returns at once. */
    Listening listen(ConsoleListener listener);

    /** Ends the process without asking it. */
    void kill();

    /** Forgets it: it goes on by itself. */
    void detach();
}
