package org.torte.cli.management;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.torte.cli.HostTerminal;
import org.torte.cli.UsageException;
import org.torte.worker.guest.TinyGuest;

/** The virtual machine of {@code torte demo} and all that goes when it ends. For one thread; it is closed by any. */
final class DemoMachine implements AutoCloseable {
    private static final Duration PATIENCE = Duration.ofMinutes(10);
    /** After which the user gets the shell whether the guest has fetched the page or not. */
    private static final Duration FETCH_LIMIT = Duration.ofMinutes(1);

    private static final Pattern PROMPT = Pattern.compile(Pattern.quote(TinyGuest.PROMPT));
    private static final int MAX_NAMES = 100;

    private final Path data;
    private final boolean keep;
    private final ServiceClient service;
    private final String nonce =
            HexFormat.of().toHexDigits(ThreadLocalRandom.current().nextLong());
    private final AtomicBoolean closed = new AtomicBoolean();
    private final Thread cleaner = Thread.ofPlatform().name("torte-demo-end").unstarted(this::end);
    private @Nullable HostPage page;
    private @Nullable Path disk;
    private String name = "";
    private int port;

    /** Nothing yet, in a data folder. */
    DemoMachine(Path data, boolean keep) {
        this.data = data;
        this.keep = keep;
        service = new ServiceClient(data);
        Runtime.getRuntime().addShutdownHook(cleaner);
    }

    /** The service. */
    ServiceClient service() {
        return service;
    }

    /** The machine, as the service shows it now. */
    JsonNode vm() {
        return service.get(path());
    }

    /** Where the service has it. */
    String path() {
        return "/api/v1/vms/" + ServiceClient.segment(name);
    }

    /** The port of the host's loopback address that leads to port 80 of the guest. */
    int port() {
        return port;
    }

    /** What the pages of both sides say, so that no other page is taken for them. */
    String nonce() {
        return nonce;
    }

    /** How often the guest has fetched the host's page. */
    int fetched() {
        HostPage offered = page;
        return offered == null ? 0 : offered.fetched();
    }

    /**
     * Makes the machine and starts it.
     *
     * @param hardware what else is said of it, as the service wants it
     */
    void make(TinyGuest guest, Map<String, Object> hardware) throws IOException {
        name = freeName();
        Files.createDirectories(data.resolve("demo"));
        Path file = data.resolve("demo").resolve(name + ".vhdx");
        Files.deleteIfExists(file);
        guest.disk(file, TinyGuest.DEFAULT_SIZE);
        disk = file;
        Files.createDirectories(data.resolve("run"));
        Path socket = data.resolve("run").resolve(name + ".page");
        page = new HostPage(socket, "a page of the host " + hostName() + ", " + nonce + "\n");
        port = freePort();
        Map<String, Object> wish = new LinkedHashMap<>(hardware);
        wish.put("name", name);
        wish.put("notes", "made by torte demo");
        wish.put("disks", List.of(Map.of("path", file.toString(), "format", "vhdx", "readOnly", false)));
        wish.put(
                "adapters",
                List.of(Map.of(
                        "network", "nat", "forwards", List.of(port + ":80"), "services", List.of("80:" + socket))));
        service.call("POST", "/api/v1/vms", wish);
        service.await(service.call("POST", path() + "/start", null));
        JsonNode vm = vm();
        DemoCommand.say("the service of " + data + " runs the virtual machine \"" + name + "\" in process "
                + vm.path("processId").asText());
        DemoCommand.say("its disk is " + file + "; its network adapter, "
                + vm.path("adapters").path(0).path("address").asText() + ", is on a NAT network");
        String at = data.equals(ServiceOptions.folder(null)) ? "" : " --data " + data;
        DemoCommand.say("from another terminal: torte vm get " + name + at + ", torte vm connect " + name + at
                + ", curl http://127.0.0.1:" + port + "/");
    }

    private String freeName() {
        Set<String> taken = new HashSet<>();
        service.get("/api/v1/vms?limit=1000&name=demo")
                .path("items")
                .forEach(vm -> taken.add(vm.path("name").asText()));
        for (int i = 1; i <= MAX_NAMES; i++) {
            String free = i == 1 ? "demo" : "demo-" + i;
            if (!taken.contains(free)) {
                return free;
            }
        }
        throw new UsageException("there are " + MAX_NAMES + " demos already; remove some with torte vm remove");
    }

    private static String hostName() {
        try {
            return Files.readString(Path.of("/proc/sys/kernel/hostname")).strip();
        } catch (IOException e) {
            return "without a name";
        }
    }

    private static int freePort() throws IOException {
        try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            return socket.getLocalPort();
        }
    }

    /** The console, when the guest's shell waits for commands; nothing if it never does. */
    @Nullable
    ConsoleLink shell() throws IOException, InterruptedException {
        ConsoleLink console = new ConsoleLink(ConsoleSession.connect(vm()));
        if (console.await(PROMPT, PATIENCE).isPresent()) {
            return console;
        }
        console.close();
        return null;
    }

    /** Has the guest offer a page; typed at its shell. */
    void offerPage(ConsoleLink console) {
        console.type("mkdir -p /run/www; echo \"a page of the guest $(hostname), Linux $(uname -r), " + nonce
                + "\" >/run/www/index.html; httpd -h /run/www");
    }

    /** Gives the user its shell, until he leaves it or the guest powers off. */
    void show(HostTerminal terminal) throws IOException, InterruptedException {
        ConsoleLink console = shell();
        if (console != null) {
            offerPage(console);
            // Its address may still be on the way.
            console.type("until [ -s /etc/resolv.conf ]; do sleep 1; done; wget -qO- http://host.torte/");
            console.await(Pattern.compile(nonce + "\\s+" + Pattern.quote(TinyGuest.PROMPT)), FETCH_LIMIT);
            console.close();
        }
        DemoCommand.say(
                "a shell follows: wget -qO- http://host.torte/ fetches the host's page again; poweroff or Ctrl-A x ends it, "
                        + (keep ? "and the machine stays" : "and the machine is removed"));
        JsonNode vm = vm();
        if (vm.path("processId").isNumber()) {
            new ConsoleSession(vm).run(ConsoleSession.connect(vm), terminal);
        }
    }

    /** Shuts down, removes and ends what was made here, once, however the demo ends. */
    @Override
    public void close() {
        try {
            Runtime.getRuntime().removeShutdownHook(cleaner);
        } catch (IllegalStateException e) {
            // The process is ending already, and the hook does it.
            return;
        }
        end();
    }

    private void end() {
        if (closed.getAndSet(true)) {
            return;
        }
        try {
            if (!name.isEmpty() && !keep) {
                remove();
            }
            if (page != null) {
                page.close();
            }
            if (!keep && !service.endIfStarted()) {
                DemoCommand.say("the service of " + data + " stays, for other virtual machines run");
            }
        } catch (IOException | UsageException e) {
            DemoCommand.say("not all of the demo is gone: " + e.getMessage());
        }
    }

    private void remove() throws IOException {
        JsonNode vm = service.find(path()).orElse(null);
        if (vm != null) {
            if (vm.path("processId").isNumber()) {
                service.await(service.call("POST", path() + "/turn-off", null));
            }
            service.call("DELETE", path() + "?disks=true", null);
        }
        if (disk != null) {
            Files.deleteIfExists(disk);
            Files.deleteIfExists(data.resolve("demo"));
        }
    }
}
