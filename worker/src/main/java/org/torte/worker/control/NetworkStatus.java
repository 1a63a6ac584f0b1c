package org.torte.worker.control;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.torte.network.host.HostService;
import org.torte.network.host.PortForward;
import org.torte.worker.Capture;
import org.torte.worker.NetworkSource;
import org.torte.worker.NetworkState;
import org.torte.worker.VirtualMachine;

/** What the control socket says of network adapters. */
final class NetworkStatus {
    private NetworkStatus() {}

    /** The adapters of a machine, by number. */
    static List<Map<String, Object>> of(VirtualMachine machine) {
        List<Map<String, Object>> list = new ArrayList<>();
        machine.networks().forEach((number, state) -> {
            Map<String, Object> shown = new LinkedHashMap<>();
            shown.put("number", number);
            shown.put("address", state.address().toString());
            switch (state.plug()) {
                case NetworkSource.Cable(var path) -> shown.put("network", "cable:" + path.toAbsolutePath());
                case NetworkSource.Loopback() -> shown.put("network", "loopback");
                case NetworkSource.Unplugged() -> shown.put("network", "none");
                case NetworkSource.Switch at -> {
                    shown.put("network", "switch");
                    shown.put("port", at.port());
                }
                case NetworkSource.Nat nat -> {
                    shown.put("network", "nat");
                    shown.put("name", nat.name());
                    shown.put(
                            "forwards",
                            nat.forwards().stream().map(PortForward::toString).toList());
                    shown.put(
                            "services",
                            nat.services().stream().map(HostService::toString).toList());
                }
            }
            shown.put(
                    "guests", state.guests().stream().map(NetworkStatus::guest).toList());
            state.capture().ifPresent(capture -> shown.put("capture", capture(capture)));
            list.add(shown);
        });
        return list;
    }

    /** How far a capture has come. */
    static Map<String, Object> capture(Capture.Result capture) {
        Map<String, Object> shown = new LinkedHashMap<>();
        shown.put("file", capture.file().toString());
        shown.put("frames", capture.frames());
        shown.put("dropped", capture.dropped());
        capture.failure().ifPresent(failure -> shown.put("failure", failure));
        return shown;
    }

    private static Map<String, Object> guest(NetworkState.Known known) {
        return Map.of("address", known.text(), "from", known.source().name().toLowerCase(Locale.ROOT));
    }
}
