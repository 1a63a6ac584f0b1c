package org.torte.management.rest;

import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.Arrays;
import org.eclipse.jetty.websocket.api.Callback;
import org.eclipse.jetty.websocket.api.Session;

/**
 * One who looks at a console through a WebSocket. What cannot be sent yet is kept, up to {@link #MAX_PENDING} bytes; who is
 * further behind is dropped. Safe for several threads; none waits here.
 */
final class ConsoleViewer {
    static final int MAX_PENDING = 1 << 20;

    /** Clients bound their messages, too: what ours gets in one is small. */
    private static final int MAX_MESSAGE = 32 << 10;

    private static final Duration PARTING = Duration.ofSeconds(5);

    /** Why a connection is closed (RFC 6455, section 7.4). */
    enum End {
        MACHINE_ENDED(1000, "the machine has ended"),
        SERVICE_ENDS(1001, "the service ends; come back with a new ticket"),
        TEXT(1003, "text means nothing here: what is typed comes in binary messages"),
        VIEW_ONLY(1008, "the ticket is for looking only"),
        TOKEN_REMOVED(1008, "the token has been removed"),
        INTERNAL(1011, "Torte failed; look at the log of the service"),
        TOO_MANY(1013, "too many consoles are open"),
        TOO_SLOW(1013, "too slow: more than 1 MiB behind"),
        GUEST_DEAF(1013, "the guest does not read what is typed");

        private final int code;
        private final String reason;

        End(int code, String reason) {
            this.code = code;
            this.reason = reason;
        }
    }

    private final Session session;
    private final ConsoleTickets.Ticket ticket;
    /** What is to be sent, from {@code start} to {@code end}. */
    private byte[] pending = new byte[MAX_MESSAGE];

    private int start;
    private int end;
    private boolean sending;
    private boolean closed;

    ConsoleViewer(Session session, ConsoleTickets.Ticket ticket) {
        this.session = session;
        this.ticket = ticket;
    }

    ConsoleTickets.Ticket ticket() {
        return ticket;
    }

    /** Whether there is nobody any more. */
    synchronized boolean isClosed() {
        return closed;
    }

    /** Sends what the console has said. */
    void show(byte[] output) {
        boolean late;
        synchronized (this) {
            late = !closed && end - start + output.length > MAX_PENDING;
            if (!closed && !late) {
                keep(output);
            }
        }
        if (late) {
            close(End.TOO_SLOW);
        } else {
            send();
        }
    }

    private void keep(byte[] output) {
        if (end + output.length > pending.length) {
            int length = end - start;
            byte[] larger = new byte[Math.max(pending.length, Math.min(MAX_PENDING, 2 * (length + output.length)))];
            System.arraycopy(pending, start, larger, 0, length);
            pending = larger;
            start = 0;
            end = length;
        }
        System.arraycopy(output, 0, pending, end, output.length);
        end += output.length;
    }

    /** Sends the next message, unless one is under way. */
    private void send() {
        byte[] message;
        synchronized (this) {
            if (closed || sending || start == end) {
                return;
            }
            sending = true;
            int length = Math.min(MAX_MESSAGE, end - start);
            message = Arrays.copyOfRange(pending, start, start + length);
            start += length;
        }
        session.sendBinary(ByteBuffer.wrap(message), Callback.from(this::sent, _ -> gone()));
    }

    private void sent() {
        synchronized (this) {
            sending = false;
        }
        send();
    }

    /** Sends nothing any more: the connection is gone. */
    void gone() {
        synchronized (this) {
            closed = true;
        }
    }

    void machineEnded() {
        close(End.MACHINE_ENDED);
    }

    /** Ends the connection. One that does not take the word of it in time is cut. */
    void close(End why) {
        synchronized (this) {
            if (closed) {
                return;
            }
            closed = true;
        }
        session.setIdleTimeout(PARTING);
        session.close(why.code, why.reason, Callback.from(() -> {}, _ -> session.disconnect()));
    }
}
