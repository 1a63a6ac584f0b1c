package org.torte.management.rest;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.torte.management.Vm;
import org.torte.management.definition.Adapter;

/** What a worker says of its guest, with the guest's addresses from wherever they are known. */
final class GuestStatus {
    private static final int STATUS_SECONDS = 5, PAIRS_SECONDS = 2;
    private static final int MAX_ADDRESSES = 256;

    private GuestStatus() {}

    /** Asks the worker, and the guest if it has a daemon that answers. */
    static CompletableFuture<JsonNode> of(Vm vm) {
        List<Adapter> adapters = vm.view().definition().hardware().adapters();
        return vm.ask("status", Map.of())
                .orTimeout(STATUS_SECONDS, TimeUnit.SECONDS)
                .thenCompose(status -> pairs(vm, status).thenApply(pairs -> joined(status, pairs, adapters)));
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

    private static JsonNode joined(JsonNode status, JsonNode pairs, List<Adapter> adapters) {
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
            for (JsonNode guest : adapter.path("guests")) {
                add(
                        addresses,
                        known,
                        guest.path("address").asText(),
                        guest.path("from").asText());
            }
        }
        for (String key : List.of("NetworkAddressIPv4", "NetworkAddressIPv6")) {
            for (String address : pairs.path(key).asText().split(";", MAX_ADDRESSES)) {
                add(addresses, known, address.strip(), "kvp");
            }
        }
        return answer;
    }

    /** The loopback addresses, which a guest counts among its own, lead nowhere. */
    private static void add(ArrayNode addresses, Set<String> known, String address, String from) {
        boolean useless = address.isEmpty() || address.startsWith("127.") || address.equals("::1");
        if (!useless && known.size() < MAX_ADDRESSES && known.add(address)) {
            addresses.addObject().put("address", address).put("from", from);
        }
    }
}
