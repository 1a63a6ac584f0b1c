package org.torte.machine;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.torte.base.GuestMemory;
import org.torte.base.StateException;
import org.torte.hypervisor.CpuidTable;
import org.torte.hypervisor.Hypervisor;
import org.torte.hypervisor.HypervisorException;
import org.torte.hypervisor.PartitionConfiguration;
import org.torte.machine.hyperv.HypervCpuid;
import org.torte.machine.integration.IntegrationService;

/**
 * What a machine is, apart from what it runs on: all that must be equal for saved state to fit. Its text form is stored
 * at the head of saved state.
 *
 * @param memoryBytes RAM, a positive multiple of 1 MiB up to {@link #MAX_MEMORY}
 * @param processors virtual processors, 1 to {@link PartitionConfiguration#MAX_PROCESSORS}
 * @param cpuModel a name from {@link CpuModels}
 * @param withoutFeatures features of the model that the machine does not have, by the names of {@link CpuFeature}
 * @param tscFrequency ticks of the time-stamp counter per second
 * @param exitPort an I/O port through which the guest ends the machine with a status of its own, if wanted
 * @param integration the integration services that it has
 */
public record MachineConfiguration(
        long memoryBytes,
        int processors,
        String cpuModel,
        List<String> withoutFeatures,
        long tscFrequency,
        OptionalInt exitPort,
        Set<IntegrationService> integration) {
    /** The most RAM of one machine: 1 TiB, half of what the smallest physical address space could hold. */
    public static final long MAX_MEMORY = 1L << 40;

    /** The least RAM: 2 MiB, below which there is no room for the tables and a kernel. */
    public static final long MIN_MEMORY = 2L << 20;

    /** The default rate of the time-stamp counter: one tick a nanosecond. */
    public static final long DEFAULT_TSC_FREQUENCY = 1_000_000_000L;

    private static final long MEBIBYTE = 1L << 20;

    /** Checks the ranges. */
    public MachineConfiguration {
        integration = Set.copyOf(integration);
        if (memoryBytes < MIN_MEMORY || memoryBytes > MAX_MEMORY || memoryBytes % MEBIBYTE != 0) {
            throw new IllegalArgumentException(
                    "a machine has 2 MiB to 1 TiB of memory in whole MiB, not " + memoryBytes + " bytes");
        }
        if (processors < 1 || processors > PartitionConfiguration.MAX_PROCESSORS) {
            throw new IllegalArgumentException(
                    "a machine has 1 to " + PartitionConfiguration.MAX_PROCESSORS + " processors, not " + processors);
        }
        if (!CpuModels.names().contains(cpuModel)) {
            throw new IllegalArgumentException(
                    "there is no processor model " + cpuModel + "; known are " + String.join(", ", CpuModels.names()));
        }
        withoutFeatures = List.copyOf(withoutFeatures);
        for (String feature : withoutFeatures) {
            if (CpuFeature.named(feature).isEmpty()) {
                throw new IllegalArgumentException("there is no processor feature " + feature);
            }
        }
        if (exitPort.isPresent() && (exitPort.getAsInt() < 0 || exitPort.getAsInt() > 0xffff)) {
            throw new IllegalArgumentException("ports are 0 to 0xffff, not " + exitPort.getAsInt());
        }
    }

    /** A machine with the default processor model, all integration services and no exit port. */
    public MachineConfiguration(long memoryBytes, int processors) {
        this(
                memoryBytes,
                processors,
                CpuModels.DEFAULT,
                List.of(),
                DEFAULT_TSC_FREQUENCY,
                OptionalInt.empty(),
                IntegrationService.ALL);
    }

    /** The same machine with an exit port: the guest writes {@code v} there and the exit status is {@code v << 1 | 1}. */
    public MachineConfiguration withExitPort(int port) {
        return new MachineConfiguration(
                memoryBytes, processors, cpuModel, withoutFeatures, tscFrequency, OptionalInt.of(port), integration);
    }

    /** The same machine with a processor of this model, one of {@link CpuModels#names}. */
    public MachineConfiguration withCpuModel(String model) {
        return new MachineConfiguration(
                memoryBytes, processors, model, withoutFeatures, tscFrequency, exitPort, integration);
    }

    /** The same machine with these integration services and no others. */
    public MachineConfiguration withIntegration(Set<IntegrationService> services) {
        return new MachineConfiguration(
                memoryBytes, processors, cpuModel, withoutFeatures, tscFrequency, exitPort, services);
    }

    /**
     * The same machine as it is best on a back-end: with the rate of time stamps that costs nothing there, and without
     * those features of its model that are missing there and that it can do without.
     *
     * @throws HypervisorException when the back-end cannot be used, or lacks what no machine can do without
     */
    public MachineConfiguration fittedTo(Hypervisor hypervisor) {
        CpuidTable wanted = cpuid();
        List<String> without = new ArrayList<>(withoutFeatures);
        for (CpuFeature feature : CpuFeature.missing(wanted, hypervisor.restrict(wanted))) {
            if (!feature.needed()) {
                without.add(feature.name());
            }
        }
        MachineConfiguration fitted = new MachineConfiguration(
                memoryBytes, processors, cpuModel, without, hypervisor.tscFrequency(), exitPort, integration);
        fitted.requireOn(hypervisor);
        return fitted;
    }

    /** What CPUID shows in this machine. */
    CpuidTable cpuid() {
        CpuidTable.Builder table = CpuModels.leaves(processors);
        HypervCpuid.addTo(table);
        return CpuFeature.without(
                table.build(),
                Stream.concat(CpuModels.without(cpuModel).stream(), withoutFeatures.stream())
                        .flatMap(name -> CpuFeature.named(name).stream())
                        .toList());
    }

    /**
     * Makes sure that a back-end offers all features of this machine.
     *
     * @throws HypervisorException when it does not; the message names the missing ones
     */
    void requireOn(Hypervisor hypervisor) {
        CpuidTable wanted = cpuid();
        List<CpuFeature> missing = CpuFeature.missing(wanted, hypervisor.restrict(wanted));
        if (!missing.isEmpty()) {
            throw new HypervisorException("this host's " + hypervisor.name()
                    + " lacks features of the machine's processor, "
                    + cpuModel + ": " + missing.stream().map(CpuFeature::name).collect(Collectors.joining(", "))
                    + "; --hypervisor software has them");
        }
    }

    /** Reserves the RAM of such a machine. */
    GuestMemory allocateMemory() {
        return GuestMemory.allocate(memoryBytes);
    }

    /** The text form: one {@code name = value} per line. */
    public String toText() {
        StringBuilder text = new StringBuilder();
        text.append("memory = ").append(memoryBytes).append('\n');
        text.append("processors = ").append(processors).append('\n');
        text.append("cpu-model = ").append(cpuModel).append('\n');
        if (!withoutFeatures.isEmpty()) {
            text.append("cpu-without = ")
                    .append(String.join(" ", withoutFeatures))
                    .append('\n');
        }
        text.append("tsc-frequency = ").append(tscFrequency).append('\n');
        exitPort.ifPresent(port -> text.append("exit-port = ").append(port).append('\n'));
        if (!integration.isEmpty()) {
            text.append("integration = ")
                    .append(IntegrationService.text(integration))
                    .append('\n');
        }
        return text.toString();
    }

    /**
     * Reads the text form.
     *
     * @throws StateException when the text is not one, or describes a machine that this version does not know
     */
    public static MachineConfiguration parse(String text) {
        Map<String, String> values = new LinkedHashMap<>();
        for (String line : text.lines().toList()) {
            int equals = line.indexOf('=');
            if (equals < 0
                    || values.put(
                                    line.substring(0, equals).strip(),
                                    line.substring(equals + 1).strip())
                            != null) {
                throw unreadable("line \"" + line + "\"");
            }
        }
        try {
            String exitPort = values.remove("exit-port");
            String without = values.remove("cpu-without");
            // Machines saved by older versions have no services.
            String integration = values.remove("integration");
            MachineConfiguration result = new MachineConfiguration(
                    Long.parseLong(take(values, "memory")),
                    Integer.parseInt(take(values, "processors")),
                    take(values, "cpu-model"),
                    without == null || without.isEmpty() ? List.of() : List.of(without.split(" ", -1)),
                    Long.parseLong(take(values, "tsc-frequency")),
                    exitPort == null ? OptionalInt.empty() : OptionalInt.of(Integer.parseInt(exitPort)),
                    IntegrationService.parse(integration == null ? "" : integration));
            if (!values.isEmpty()) {
                throw unreadable("unknown setting " + values.keySet().iterator().next());
            }
            return result;
        } catch (IllegalArgumentException e) {
            throw unreadable(String.valueOf(e.getMessage()));
        }
    }

    private static String take(Map<String, String> values, String name) {
        String value = values.remove(name);
        if (value == null) {
            throw unreadable("no setting " + name);
        }
        return value;
    }

    private static StateException unreadable(String why) {
        return new StateException("the machine definition in the saved state cannot be used: " + why
                + "; it needs the version of Torte that wrote it or a newer one");
    }
}
