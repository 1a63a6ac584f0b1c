package org.torte.machine.integration;

import java.nio.ByteBuffer;
import java.util.concurrent.CompletableFuture;

/** A reply that completes a future, on a thread of its own, as whoever waits may do anything. */
final class PendingAnswer<T> implements Service.Reply {
    /** Reads an answer; throws when the guest refuses. */
    interface Decoder<T> {
        T decode(int status, ByteBuffer body);
    }

    private final CompletableFuture<T> future = new CompletableFuture<>();
    private final Decoder<T> decoder;

    PendingAnswer(Decoder<T> decoder) {
        this.decoder = decoder;
    }

    CompletableFuture<T> future() {
        return future;
    }

    @Override
    public void answered(int status, ByteBuffer body) {
        try {
            T value = decoder.decode(status, body);
            future.completeAsync(() -> value);
        } catch (ServiceException e) {
            lost(e);
        }
    }

    @Override
    public void lost(ServiceException why) {
        fail(future, why);
    }

    /** Fails a future, on a thread of its own. */
    static void fail(CompletableFuture<?> future, ServiceException why) {
        CompletableFuture<Void> _ = CompletableFuture.runAsync(() -> future.completeExceptionally(why));
    }
}
