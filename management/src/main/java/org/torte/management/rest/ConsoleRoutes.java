package org.torte.management.rest;

import com.fasterxml.jackson.annotation.JsonProperty;
import io.javalin.config.RoutesConfig;
import io.javalin.http.Context;
import io.javalin.websocket.WsBinaryMessageContext;
import io.javalin.websocket.WsConfig;
import io.javalin.websocket.WsContext;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.InstantSource;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.jspecify.annotations.Nullable;
import org.torte.management.Host;
import org.torte.management.Problem;
import org.torte.management.Vm;
import org.torte.management.rest.ConsoleTickets.Purpose;
import org.torte.management.rest.ConsoleTickets.Ticket;
import org.torte.management.rest.ConsoleViewer.End;

/** Consoles: tickets, and the WebSockets (RFC 6455) that these open. */
final class ConsoleRoutes implements AutoCloseable {
    /** The longest message that is typed, in bytes. */
    static final int MAX_TYPED = 64 << 10;

    private static final String CONSOLE = "/api/v1/vms/{vm}/console";
    private static final String TICKET = "console.ticket";
    private static final int MAX_VIEWERS = 200;
    /** Of what is typed, so much goes into one request to the worker. */
    private static final int PART = 4096;

    private static final long ANSWER_SECONDS = 5;
    private static final long PING_SECONDS = 30;
    private static final long RETRY_MILLIS = 50;
    /** How often a guest that has not read what was typed before is tried. */
    private static final int TRIES = 200;

    private static final System.Logger LOG = System.getLogger(ConsoleRoutes.class.getName());

    private final Host host;
    private final ConsoleTickets tickets;
    private final Map<UUID, ConsoleFeed> feeds = new ConcurrentHashMap<>();
    /** By the WebSocket's session. */
    private final Map<String, ConsoleViewer> viewers = new ConcurrentHashMap<>();

    private volatile boolean closed;

    ConsoleRoutes(Host host, Access access, InstantSource clock) {
        this.host = host;
        tickets = new ConsoleTickets(access, clock);
        access.whenRemoved(token -> viewers.values().stream()
                .filter(viewer -> viewer.ticket().token().equals(token))
                .forEach(viewer -> viewer.close(End.TOKEN_REMOVED)));
    }

    /** What a ticket is wanted for. */
    record NewTicket(@JsonProperty(required = true) Purpose purpose) {}

    /** A ticket, and where it is shown. */
    record TicketAnswer(String ticket, Purpose purpose, String expires, String path) {}

    void add(RoutesConfig routes) {
        routes.post(CONSOLE + "/tickets", this::issue, Role.OPERATOR);
        routes.get(CONSOLE, ConsoleRoutes::noWebSocket);
        routes.wsBeforeUpgrade(CONSOLE, this::admit);
        routes.ws(CONSOLE, this::configure);
    }

    private void issue(Context context) {
        Requests.only(context);
        Vm vm = host.find(context.pathParam("vm"));
        NewTicket wish = Requests.body(context, NewTicket.class);
        vm.requireConsole();
        Ticket ticket = new Ticket(vm.id(), RestServer.token(context), wish.purpose(), tickets.end());
        String secret = tickets.issue(ticket);
        Repetition.secret(context);
        context.status(201)
                .json(new TicketAnswer(
                        secret,
                        wish.purpose(),
                        ticket.until().toString(),
                        "/api/v1/vms/" + vm.id() + "/console?ticket=" + secret));
    }

    private static void noWebSocket(Context context) {
        throw Requests.invalid("a console is a WebSocket", "ask for an upgrade, with a ticket from console/tickets");
    }

    /** Before the upgrade; what is refused here is answered as any request is. */
    private void admit(Context context) {
        RestServer.refuseOthers(context);
        Requests.only(context, "ticket");
        if (viewers.size() >= MAX_VIEWERS) {
            throw new Problem(
                    Problem.Kind.UNAVAILABLE, "there are " + MAX_VIEWERS + " consoles open already", "close some");
        }
        Vm vm = host.find(context.pathParam("vm"));
        Ticket ticket = tickets.take(Requests.orEmpty(context.queryParam("ticket")), vm.id());
        vm.requireConsole();
        context.attribute(TICKET, ticket);
    }

    private void configure(WsConfig socket) {
        socket.onConnect(this::open);
        socket.onBinaryMessage(this::type);
        socket.onMessage(message -> viewer(message).ifPresent(viewer -> viewer.close(End.TEXT)));
        socket.onClose(this::forget);
        socket.onError(this::forget);
    }

    private Optional<ConsoleViewer> viewer(WsContext context) {
        return Optional.ofNullable(viewers.get(context.sessionId()));
    }

    private void open(WsContext context) {
        @Nullable Ticket ticket = context.attribute(TICKET);
        if (ticket == null) {
            throw new IllegalStateException("nobody has looked at the ticket");
        }
        ConsoleViewer viewer = new ConsoleViewer(context.session, ticket);
        viewers.put(context.sessionId(), viewer);
        try {
            if (closed) {
                viewer.close(End.SERVICE_ENDS);
                return;
            }
            if (viewers.size() > MAX_VIEWERS) {
                viewer.close(End.TOO_MANY);
                return;
            }
            show(host.find(ticket.vm().toString()), viewer);
            context.enableAutomaticPings(PING_SECONDS, TimeUnit.SECONDS);
        } catch (Problem e) {
            // It has ended, or was removed, between the ticket and now.
            LOG.log(System.Logger.Level.DEBUG, "no console any more", e);
            viewer.close(End.MACHINE_ENDED);
        } catch (RuntimeException e) {
            LOG.log(System.Logger.Level.ERROR, "a console cannot be shown", e);
            viewer.close(End.INTERNAL);
        }
    }

    private void show(Vm vm, ConsoleViewer viewer) {
        boolean added = false;
        while (!added) {
            added = feeds.compute(vm.id(), (_, old) -> {
                        if (old != null && !old.isOver()) {
                            return old;
                        }
                        ConsoleFeed feed = new ConsoleFeed();
                        feed.open(vm);
                        return feed;
                    })
                    .add(viewer);
        }
    }

    /** Types; whoever types more than the guest reads waits here, and so does what the client sends on. */
    private void type(WsBinaryMessageContext context) {
        ConsoleViewer viewer = viewers.get(context.sessionId());
        if (viewer == null || viewer.isClosed()) {
            return;
        }
        if (viewer.ticket().purpose() != Purpose.TYPE) {
            viewer.close(End.VIEW_ONLY);
            return;
        }
        try {
            Vm vm = host.find(viewer.ticket().vm().toString());
            ByteBuffer typed = context.data();
            while (typed.hasRemaining() && !viewer.isClosed()) {
                byte[] part = new byte[Math.min(PART, typed.remaining())];
                typed.get(part);
                write(vm, new String(part, StandardCharsets.ISO_8859_1), viewer);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            viewer.close(End.SERVICE_ENDS);
        } catch (Problem e) {
            // The machine was removed.
            LOG.log(System.Logger.Level.DEBUG, "nothing to type at", e);
            viewer.close(End.MACHINE_ENDED);
        }
    }

    private static void write(Vm vm, String bytes, ConsoleViewer viewer) throws InterruptedException {
        for (int i = 0; i < TRIES && !viewer.isClosed(); i++) {
            try {
                vm.ask("console.write", Map.of("bytes", bytes)).get(ANSWER_SECONDS, TimeUnit.SECONDS);
                return;
            } catch (ExecutionException | TimeoutException e) {
                // The guest has not read enough of what was typed before, or the machine ends, which the feed tells.
                LOG.log(System.Logger.Level.TRACE, "what was typed has to wait", e);
                if (e instanceof TimeoutException) {
                    break;
                }
            }
            Thread.sleep(RETRY_MILLIS);
        }
        viewer.close(End.GUEST_DEAF);
    }

    private void forget(WsContext context) {
        ConsoleViewer viewer = viewers.remove(context.sessionId());
        if (viewer == null) {
            return;
        }
        viewer.gone();
        feeds.computeIfPresent(viewer.ticket().vm(), (_, feed) -> feed.remove(viewer) ? null : feed);
    }

    /** How many consoles are looked at. */
    int open() {
        return viewers.size();
    }

    /** How many connections with workers there are for that. */
    int feeds() {
        return feeds.size();
    }

    /** Ends all, and each that comes from now on. */
    @Override
    public void close() {
        closed = true;
        viewers.values().forEach(viewer -> viewer.close(End.SERVICE_ENDS));
    }
}
