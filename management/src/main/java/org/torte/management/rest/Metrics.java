package org.torte.management.rest;

import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import org.torte.management.Host;
import org.torte.management.Vm;
import org.torte.management.VmState;
import org.torte.management.memory.MemoryUse;

/**
 * Figures of the host and its machines in the text format of Prometheus 0.0.4. Nobody is asked for them: they are what the
 * service knows, and what the kernel says of the processes of the workers.
 */
final class Metrics {
    private final StringBuilder text = new StringBuilder();

    private Metrics() {}

    /** All of them. */
    static String of(Host host) {
        Metrics metrics = new Metrics();
        metrics.host(host);
        metrics.machines(host.list());
        return metrics.text.toString();
    }

    private void host(Host host) {
        family("torte_machines", "gauge", "Virtual machines of this host by state.");
        Map<VmState, Long> counts = host.counts();
        for (VmState state : VmState.values()) {
            sample("torte_machines", "{state=\"" + state.label() + "\"}", counts.getOrDefault(state, 0L));
        }
        host.memory().ifPresent(memory -> {
            family(
                    "torte_host_memory_bytes",
                    "gauge",
                    "Memory of the host: all of it, what programs can still have, and what other machines can have.");
            sample("torte_host_memory_bytes", "{kind=\"total\"}", memory.total());
            sample("torte_host_memory_bytes", "{kind=\"available\"}", memory.available());
            sample("torte_host_memory_bytes", "{kind=\"free\"}", memory.free());
        });
        Runtime runtime = Runtime.getRuntime();
        one("torte_host_processors", "gauge", "Processors of the host.", runtime.availableProcessors());
        one(
                "torte_service_memory_bytes",
                "gauge",
                "Heap in use by the service.",
                runtime.totalMemory() - runtime.freeMemory());
        one(
                "torte_events_total",
                "counter",
                "Events since the data folder was made.",
                host.events().last());
        one(
                "torte_tasks_running",
                "gauge",
                "Tasks that go on.",
                host.list().stream().filter(vm -> vm.task() != null).count());
        one(
                "torte_definitions_unreadable",
                "gauge",
                "Folders whose definition cannot be read.",
                host.unreadable().size());
    }

    private void machines(List<Vm.View> all) {
        each(
                all,
                "torte_vm_running",
                "gauge",
                "Whether it has a worker: 1 from its start to its end.",
                vm -> Optional.of(vm.processId() == null ? 0 : 1));
        each(
                all,
                "torte_vm_responding",
                "gauge",
                "Whether its worker answers, while it has one.",
                vm -> Optional.ofNullable(vm.processId()).map(_ -> vm.state() == VmState.NOT_RESPONDING ? 0 : 1));
        each(
                all,
                "torte_vm_processors",
                "gauge",
                "Its virtual processors.",
                vm -> Optional.of(vm.definition().hardware().processors()));
        each(
                all,
                "torte_vm_memory_bytes",
                "gauge",
                "The memory that it can have at most.",
                vm -> Optional.of(vm.definition().hardware().memory()));
        each(
                all,
                "torte_vm_start_time_seconds",
                "gauge",
                "When its worker was started, in seconds since 1970.",
                vm -> Optional.ofNullable(vm.since()).map(Instant::getEpochSecond));
        each(
                all,
                "torte_vm_cpu_seconds_total",
                "counter",
                "Time of the host's processors that its worker has used, for devices too.",
                vm -> Optional.ofNullable(vm.processId())
                        .flatMap(ProcessHandle::of)
                        .flatMap(process -> process.info().totalCpuDuration())
                        .map(used -> used.toMillis() / 1000.0));
        each(
                all,
                "torte_vm_memory_assigned_bytes",
                "gauge",
                "What guests with dynamic memory have.",
                vm -> Optional.ofNullable(vm.memory()).map(MemoryUse::assigned));
        each(
                all,
                "torte_vm_memory_demand_bytes",
                "gauge",
                "What guests with dynamic memory need.",
                vm -> Optional.ofNullable(vm.memory()).map(MemoryUse::demand));
    }

    /** A figure of each machine that has it. Names are letters, digits, dots, dashes and underscores: nothing is quoted. */
    private void each(
            List<Vm.View> all,
            String name,
            String type,
            String help,
            Function<Vm.View, Optional<? extends Number>> figure) {
        family(name, type, help);
        for (Vm.View vm : all) {
            figure.apply(vm)
                    .ifPresent(value -> sample(name, "{vm=\"" + vm.definition().name() + "\"}", value));
        }
    }

    private void one(String name, String type, String help, Number value) {
        family(name, type, help);
        sample(name, "", value);
    }

    private void family(String name, String type, String help) {
        text.append("# HELP ").append(name).append(' ').append(help).append('\n');
        text.append("# TYPE ").append(name).append(' ').append(type).append('\n');
    }

    private void sample(String name, String labels, Number value) {
        text.append(name).append(labels).append(' ').append(value).append('\n');
    }
}
