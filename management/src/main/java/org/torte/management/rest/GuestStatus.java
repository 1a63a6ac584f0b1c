package org.torte.management.rest;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.MissingNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.torte.management.Switches;
import org.torte.management.Vm;
import org.torte.management.definition.Adapter;
import org.torte.management.definition.VmDefinition;

/** What a worker says of its guest, with the guest's addresses and clock from wherever they are known. */
final class GuestStatus {
    private static final int STATUS_SECONDS = 5, PAIRS_SECONDS = 2;
    private static final int MAX_ADDRESSES = 256;

    private GuestStatus() {}

    /** Asks the worker, the guest if it has a daemon that answers, and the process of the switches that it is at. */
    static CompletableFuture<JsonNode> of(Vm vm, Switches switches) {
        VmDefinition definition = vm.view().definition();
        List<Adapter> adapters = definition.hardware().adapters();
        CompletableFuture<List<JsonNode>> ports = live(adapters, switches)
                .thenApply(live -> adapters.stream()
                        .map(one -> Live.port(live, Switches.portId(definition.id(), one)))
                        .toList());
        return vm.ask("status", Map.of())
                .orTimeout(STATUS_SECONDS, TimeUnit.SECONDS)
                .thenCompose(status ->
                        pairs(vm, status).thenCombine(ports, (pairs, known) -> joined(status, pairs, adapters, known)));
    }

    /** What the switches' process says; nothing if it does not answer in time, which is no reason to say nothing of the guest. */
    private static CompletableFuture<JsonNode> live(List<Adapter> adapters, Switches switches) {
        CompletableFuture<JsonNode> live = new CompletableFuture<>();
        if (adapters.stream().noneMatch(one -> one.switchName().isPresent())) {
            live.complete(MissingNode.getInstance());
            return live;
        }
        Thread _ = Thread.ofVirtual().name("switches").start(() -> live.complete(switches.status()));
        return live.completeOnTimeout(MissingNode.getInstance(), PAIRS_SECONDS, TimeUnit.SECONDS);
    }

    /** The guest's own facts; nothing if it does not tell them in time. */
    private static CompletableFuture<JsonNode> pairs(Vm vm, JsonNode status) {
        if (!status.path("key-value-pairs").asBoolean()
                || !status.path("state").asText().equals("running")) {
            return CompletableFuture.completedFuture(status.path("no pairs"));
        }
        return vm.ask("kvp.get", Map.of("timeout", 1))
                .orTimeout(PAIRS_SECONDS, TimeUnit.SECONDS)
                .exceptionally(_ -> status.path("no pairs"))
                .thenApply(answer -> answer.path("pairs"));
    }

    private static JsonNode joined(JsonNode status, JsonNode pairs, List<Adapter> adapters, List<JsonNode> ports) {
        if (!(status instanceof ObjectNode answer)) {
            return status;
        }
        if (pairs.isObject()) {
            answer.set("pairs", pairs);
        }
        ArrayNode addresses = answer.putArray("addresses");
        Set<String> known = new HashSet<>();
        for (JsonNode adapter : answer.path("adapters")) {
            int number = adapter.path("number").asInt(-1);
            if (adapter instanceof ObjectNode shown && number >= 0 && number < adapters.size()) {
                shown.put("adapter", adapters.get(number).name());
            }
            add(addresses, known, adapter.path("guests"));
        }
        for (JsonNode port : ports) {
            add(addresses, known, port.path("addresses"));
            if (port.path("clock").isObject() && !answer.has("clock")) {
                answer.set("clock", port.path("clock"));
            }
        }
        for (String key : List.of("NetworkAddressIPv4", "NetworkAddressIPv6")) {
            for (String address : pairs.path(key).asText().split(";", MAX_ADDRESSES)) {
                add(addresses, known, address.strip(), "kvp");
            }
        }
        return answer;
    }

    private static void add(ArrayNode addresses, Set<String> known, JsonNode seen) {
        for (JsonNode one : seen) {
            add(addresses, known, one.path("address").asText(), one.path("from").asText());
        }
    }

    /** The loopback addresses, which a guest counts among its own, lead nowhere. */
    private static void add(ArrayNode addresses, Set<String> known, String address, String from) {
        boolean useless = address.isEmpty() || address.startsWith("127.") || address.equals("::1");
        if (!useless && known.size() < MAX_ADDRESSES && known.add(address)) {
            addresses.addObject().put("address", address).put("from", from);
        }
    }
}
