package org.torte.disk.crash;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/** Runs the independent cases of a long test on all of the host's processors. */
public final class Cases {
    private Cases() {}

    /** Returns when all cases have ended, or throws what the first of them failed with, in their order. */
    public static void run(List<? extends Callable<?>> cases) throws Exception {
        List<Future<?>> results = new ArrayList<>();
        try (ExecutorService threads =
                Executors.newFixedThreadPool(Runtime.getRuntime().availableProcessors())) {
            cases.forEach(c -> results.add(threads.submit(c)));
            try {
                for (Future<?> result : results) {
                    result.get();
                }
            } catch (ExecutionException e) {
                threads.shutdownNow();
                if (e.getCause() instanceof Error error) {
                    throw error;
                }
                throw e;
            }
        }
    }
}
