package org.torte.cli.management;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.torte.cli.ExitStatus;

/** A session in the guest of {@code torte demo} whose every claim is checked from the host's side. For one use. */
final class DemoProof {
    private static final Duration PATIENCE = Duration.ofMinutes(10);
    private static final Duration POLL = Duration.ofMillis(500);
    private static final int TRIES = 240;

    /** What the guest computes on its disk, read back from there; the host does the same. */
    private static final int NUMBERS = 100_000;

    private static final Pattern DIGEST = Pattern.compile("sha256sum: +([0-9a-f]{64})");

    /** Typed ahead: no program in it may read from a pipe what it then prints, as busybox's would get the next lines, too. */
    private static final List<String> SESSION = List.of(
            "echo \"== kernel:      $(uname -srm)\"",
            "echo \"== processors:  $(grep -c ^processor /proc/cpuinfo) x "
                    + "$(sed -n '/^model name/{s/.*: //p;q}' /proc/cpuinfo)\"",
            "echo \"== hypervisor:  $(sed -n 's/.*Hypervisor detected: //p' /run/messages)\"",
            "echo \"== meltdown:    $(cat /sys/devices/system/cpu/vulnerabilities/meltdown)\"",
            "echo \"== disk:        $(sed -n 's|^\\(/dev/[^ ]*\\) / \\([^ ]*\\) .*|\\1, \\2|p' /proc/mounts), "
                    + "$(cd /sys/bus/vmbus/drivers && echo *storvsc)\"",
            "seq 1 " + NUMBERS + " >/root/numbers; sync; echo 3 >/proc/sys/vm/drop_caches",
            "echo \"== sha256sum:   $(sha256sum </root/numbers)\"",
            "i=0; while [ $i -lt 120 ] && ! [ -s /etc/resolv.conf ]; do sleep 1; i=$((i+1)); done",
            "echo \"== network:     $(ip -4 -o addr show dev eth0 | sed 's/.*inet \\([^ ]*\\).*/eth0, \\1/'), "
                    + "$(cd /sys/bus/vmbus/drivers && echo *netvsc)\"",
            "echo \"== from host:   $(wget -qO- http://host.torte/)\"");

    /** First of all: the shell no longer repeats what is typed. */
    private static final String BEGIN = "stty -echo; PS1=; dmesg -n 1; dmesg >/run/messages; "
            + "echo \"== guest:       $(hostname), up $(cut -d. -f1 /proc/uptime) s\"";

    private static final Pattern BEGUN = Pattern.compile("== guest: +\\S+, up \\d");

    private final DemoMachine machine;
    private final long begun = System.nanoTime();

    DemoProof(DemoMachine machine) {
        this.machine = machine;
    }

    /** Runs it; gives the exit status of the command. */
    int run() throws IOException, InterruptedException {
        try (ConsoleLink console = machine.shell()) {
            if (console == null) {
                return failed("the guest has not come to its shell; torte image build tiny makes a disk to look into");
            }
            console.type(BEGIN);
            if (console.await(BEGUN, PATIENCE).isEmpty()) {
                return failed("the guest's shell does not do what it is told");
            }
            SESSION.forEach(console::type);
            machine.offerPage(console);
            Optional<Matcher> digest = console.await(DIGEST, PATIENCE);
            if (digest.isEmpty() || !digest.get().group(1).equals(sha256(numbers()))) {
                return failed("the guest computed another SHA-256 sum than the host, or none");
            }
            Pattern page = Pattern.compile("== from host: +a page of the host [^\n]*" + machine.nonce());
            if (console.await(page, PATIENCE).isEmpty() || machine.fetched() == 0) {
                return failed("the guest did not fetch the host's page through NAT");
            }
            Optional<String> guests = fetch();
            if (guests.isEmpty()) {
                return failed("the host did not reach the guest's page through port " + machine.port());
            }
            System.out.println("== from guest:  " + guests.get().strip());
            Optional<String> integration = integration();
            if (integration.isEmpty()) {
                return failed("the guest's heartbeat or address is not known to the service");
            }
            System.out.println("== integration: " + integration.get());
            System.out.flush();
        }
        return shutDown();
    }

    /** What the service knows of the guest, when it has an address and a heartbeat. */
    private Optional<String> integration() throws InterruptedException {
        for (int i = 0; i < TRIES; i++) {
            JsonNode guest = machine.service().find(machine.path() + "/guest").orElse(null);
            if (guest != null
                    && guest.path("heartbeat").path("state").asText().equals("ok")
                    && !guest.path("addresses").isEmpty()) {
                List<String> addresses = new ArrayList<>();
                guest.path("addresses")
                        .forEach(one -> addresses.add(one.path("address").asText() + " ("
                                + one.path("from").asText() + ")"));
                return Optional.of("heartbeat ok, address " + String.join(", ", addresses));
            }
            Thread.sleep(POLL);
        }
        return Optional.empty();
    }

    /** The guest's page, once its server listens. */
    private Optional<String> fetch() throws InterruptedException {
        try (HttpClient http =
                HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(5)).build()) {
            HttpRequest request = HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + machine.port() + "/"))
                    .timeout(Duration.ofSeconds(10))
                    .build();
            for (int i = 0; i < TRIES; i++) {
                Optional<String> body = once(http, request).filter(text -> text.contains(machine.nonce()));
                if (body.isPresent()) {
                    return body;
                }
                Thread.sleep(POLL);
            }
            return Optional.empty();
        }
    }

    private static Optional<String> once(HttpClient http, HttpRequest request) throws InterruptedException {
        try {
            return Optional.of(http.send(request, BodyHandlers.ofString()).body());
        } catch (IOException e) {
            // The guest's server does not listen yet.
            return Optional.empty();
        }
    }

    private int shutDown() {
        ServiceClient service = machine.service();
        service.await(service.call("POST", machine.path() + "/stop?timeout=600", null));
        JsonNode end = machine.vm().path("lastEnd");
        if (!end.path("cause").asText().equals("powered-off")) {
            DemoCommand.say("the guest did not power off: " + end.path("detail").asText());
            return ExitStatus.CRASHED;
        }
        DemoCommand.say(String.format(
                java.util.Locale.ROOT,
                "the host's sum is the same, each side has fetched the other's page, and the guest powered off when it"
                        + " was asked to; %.1f s",
                (System.nanoTime() - begun) / 1e9));
        return ExitStatus.OK;
    }

    private int failed(String what) {
        JsonNode vm = machine.vm();
        String end = vm.path("lastEnd").path("detail").asText();
        DemoCommand.say(what + (end.isEmpty() ? "" : "; the machine has ended: " + end));
        return vm.path("lastEnd").path("cause").asText().equals("crashed") ? ExitStatus.CRASHED : ExitStatus.TIMEOUT;
    }

    private static byte[] numbers() {
        StringBuilder text = new StringBuilder();
        for (int i = 1; i <= NUMBERS; i++) {
            text.append(i).append('\n');
        }
        return text.toString().getBytes(StandardCharsets.US_ASCII);
    }

    private static String sha256(byte[] data) {
        try {
            return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(data));
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every JDK has SHA-256", e);
        }
    }
}
