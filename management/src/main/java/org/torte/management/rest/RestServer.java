package org.torte.management.rest;

import io.javalin.Javalin;
import io.javalin.config.JavalinConfig;
import io.javalin.http.Context;
import io.javalin.http.HandlerType;
import io.javalin.http.HttpResponseException;
import io.javalin.http.servlet.JavalinWsServletContext;
import io.javalin.json.JavalinJackson;
import io.javalin.security.RouteRole;
import java.io.IOException;
import java.lang.System.Logger.Level;
import java.time.Duration;
import java.time.InstantSource;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.torte.management.Host;
import org.torte.management.Names;
import org.torte.management.Problem;
import org.torte.management.definition.Json;

/** The service's face: HTTP on a loopback address. */
public final class RestServer implements AutoCloseable {
    private static final System.Logger LOG = System.getLogger(RestServer.class.getName());
    private static final String LOOPBACK = "127.0.0.1";
    private static final long MAX_BODY = 1 << 20;
    private static final String TOKEN = "token";
    static final String PROBLEM = "application/problem+json";

    private final Host host;
    private final Access access;
    private final Repetition repetition;
    private final EventRoutes events;
    private final ConsoleRoutes consoles;
    /** Each attempt to start has its own: one that has failed cannot be started again. */
    private Javalin server;

    /** Makes it, not started. */
    public RestServer(Host host, Access access, InstantSource clock) {
        this.host = host;
        this.access = access;
        repetition = new Repetition(host.database(), clock);
        events = new EventRoutes(host.events());
        consoles = new ConsoleRoutes(host, access, clock);
        server = Javalin.create(this::configure);
    }

    /**
     * Starts to listen.
     *
     * @param port 0 for any
     * @return the port
     * @throws Problem when it is taken
     */
    public int start(int port) {
        try {
            return server.start(LOOPBACK, port).port();
        } catch (RuntimeException e) {
            server.stop();
            server = Javalin.create(this::configure);
            throw new Problem(
                    Problem.Kind.UNAVAILABLE,
                    "port " + port + " cannot be used (" + e.getMessage() + ")",
                    "give another with --port, or 0 for any",
                    e);
        }
    }

    private void configure(JavalinConfig config) {
        config.startup.showJavalinBanner = false;
        config.startup.showOldJavalinVersionWarning = false;
        config.startup.startupWatcherEnabled = false;
        config.concurrency.useVirtualThreads = true;
        config.http.maxRequestSize = MAX_BODY;
        config.http.prefer405over404 = true;
        config.router.ignoreTrailingSlashes = false;
        config.jetty.modifyServer(jetty -> jetty.setErrorHandler(new JettyProblems()));
        config.jetty.modifyServletContextHandler(routes -> routes.setErrorHandler(new JettyProblems()));
        config.jetty.modifyWebSocketServletFactory(sockets -> {
            sockets.setMaxFrameSize(ConsoleRoutes.MAX_TYPED);
            sockets.setMaxBinaryMessageSize(ConsoleRoutes.MAX_TYPED);
            sockets.setMaxTextMessageSize(ConsoleRoutes.MAX_TYPED);
            // Both ends are on this host: nobody is gone without a word, and a silent guest is no reason to end.
            sockets.setIdleTimeout(Duration.ZERO);
        });
        config.jsonMapper(new JavalinJackson(Json.MAPPER, true));
        config.routes.before(RestServer::refuseHead);
        config.routes.beforeMatched(this::admit);
        config.routes.after(repetition::remember);
        config.routes.after(RestServer::announceClose);
        new VmRoutes(host).add(config.routes);
        new CheckpointRoutes(host).add(config.routes);
        new AdapterRoutes(host).add(config.routes);
        new SwitchRoutes(host).add(config.routes);
        new TaskRoutes(host).add(config.routes);
        events.add(config.routes);
        consoles.add(config.routes);
        new HostRoutes(host, access).add(config.routes);
        new NameRoutes(host, access).add(config.routes);
        config.routes.exception(Problem.class, (e, context) -> answer(context, e));
        config.routes.exception(HttpResponseException.class, (e, context) -> {
            String cause = switch (e.getStatus()) {
                case 404 -> "there is nothing at " + context.path();
                case 405 -> context.method().name() + " is not what " + context.path() + " can be asked for";
                case 413 -> "the body has more than " + MAX_BODY + " bytes";
                default -> String.valueOf(e.getMessage());
            };
            answer(context, e.getStatus(), JettyProblems.kind(e.getStatus()), cause, "look at /openapi.yaml");
        });
        config.routes.exception(Exception.class, (e, context) -> {
            LOG.log(Level.ERROR, context.method() + " " + context.path(), e);
            answer(context, 500, "internal", "Torte failed", "look at the log of the service, and report it");
        });
    }

    /** Who asks, whether they may, and whether it is really they: pages of other sites have a name or an origin of theirs. */
    static void refuseOthers(Context context) {
        context.header("Cache-Control", "no-store");
        context.header("X-Content-Type-Options", "nosniff");
        String name = Requests.orEmpty(context.header("Host")).replaceFirst(":\\d+$", "");
        if (!Set.of(LOOPBACK, "localhost", "[::1]").contains(name)) {
            throw new Problem(
                    Problem.Kind.FORBIDDEN,
                    "the Host header names another host",
                    "ask at " + LOOPBACK + " or localhost");
        }
        String origin = context.header("Origin");
        if (origin != null && !origin.equals("http://" + context.header("Host"))) {
            throw new Problem(Problem.Kind.FORBIDDEN, "this comes from a page of another site", "ask without it");
        }
    }

    /** Javalin would answer for every path of a GET, without asking whether what it names is there. */
    private static void refuseHead(Context context) {
        if (context.method().equals(HandlerType.HEAD)) {
            throw new HttpResponseException(405, "HEAD", Map.of());
        }
    }

    private void admit(Context context) {
        refuseOthers(context);
        Set<RouteRole> needed = context.routeRoles();
        if (needed.isEmpty()) {
            return;
        }
        Access.Token token = shown(context);
        context.attribute(TOKEN, token);
        for (RouteRole role : needed) {
            if (!token.role().includes((Role) role)) {
                throw new Problem(
                        Problem.Kind.FORBIDDEN,
                        "the token " + token.name() + " has the role " + Names.of(token.role()) + ", this needs "
                                + Names.of((Role) role),
                        "ask an administrator for another token");
            }
        }
        if (repetition.answered(context, token.name())) {
            context.skipRemainingHandlers();
        }
    }

    /**
     * The connection of a request whose body was not read is closed; who is not told would send the next one there (RFC
     * 9112, section 9.6).
     */
    private static void announceClose(Context context) throws IOException {
        boolean body = context.req().getContentLengthLong() > 0 || context.header("Transfer-Encoding") != null;
        if (body && !context.req().getInputStream().isFinished()) {
            context.header("Connection", "close");
        }
    }

    private Access.Token shown(Context context) {
        String header = Requests.orEmpty(context.header("Authorization"));
        String prefix = "Bearer ";
        Optional<Access.Token> token = header.regionMatches(true, 0, prefix, 0, prefix.length())
                ? access.find(header.substring(prefix.length()).strip())
                : Optional.empty();
        if (token.isPresent()) {
            return token.get();
        }
        throw new Problem(
                Problem.Kind.UNAUTHENTICATED,
                header.isEmpty() ? "there is no token" : "the token is not one of this service",
                "send the header Authorization: Bearer TOKEN; the owner's token is in service.json in the data folder");
    }

    /** The token that came with a request that needs one. */
    static Access.Token token(Context context) {
        Access.@Nullable Token token = context.attribute(TOKEN);
        if (token == null) {
            throw new IllegalStateException(context.path() + " needs no token");
        }
        return token;
    }

    /** Whose token came with a request. */
    static String owner(Context context) {
        return token(context).name();
    }

    private static void answer(Context context, Problem problem) {
        if (problem.kind() == Problem.Kind.UNAUTHENTICATED) {
            context.header("WWW-Authenticate", "Bearer");
        }
        answer(context, status(problem.kind()), Names.of(problem.kind()), problem.cause(), problem.remedy());
    }

    private static int status(Problem.Kind kind) {
        return switch (kind) {
            case INVALID -> 400;
            case UNAUTHENTICATED -> 401;
            case FORBIDDEN -> 403;
            case NOT_FOUND -> 404;
            case EXISTS, CONFLICT, CANCELLED -> 409;
            case CHANGED -> 412;
            case FAILED -> 502;
            case UNAVAILABLE -> 503;
            case TIMEOUT -> 504;
        };
    }

    /** RFC 9457, with the remedy. */
    private static void answer(Context context, int status, String kind, String cause, String remedy) {
        try {
            // A HEAD request has no body, but the same head.
            byte[] text = context.method().equals(HandlerType.HEAD)
                    ? new byte[0]
                    : JettyProblems.body(status, kind, cause, remedy);
            context.status(status).contentType(PROBLEM);
            if (context instanceof JavalinWsServletContext) {
                // Of an upgrade that is refused Javalin writes the head only.
                context.res().getOutputStream().write(text);
            } else {
                context.result(text);
            }
        } catch (IOException e) {
            // Whoever asked has gone.
            LOG.log(Level.DEBUG, "nobody reads the answer", e);
        }
    }

    /** Every call that there is, such as {@code get /api/v1/vms}. */
    List<String> calls() {
        return server.unsafe.internalRouter.allHttpHandlers().stream()
                .map(handler -> handler.endpoint)
                .filter(endpoint -> endpoint.method.isHttpMethod())
                .map(endpoint -> endpoint.method.name().toLowerCase(Locale.ROOT) + " " + endpoint.path)
                .toList();
    }

    ConsoleRoutes consoles() {
        return consoles;
    }

    /** How many streams of events are open. */
    int eventStreams() {
        return events.open();
    }

    @Override
    public void close() {
        consoles.close();
        events.close();
        server.stop();
    }
}
