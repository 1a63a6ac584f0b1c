package org.torte.cli.management;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Locale;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import org.torte.disk.DiskFormat;
import org.torte.hypervisor.TranslatorMode;
import org.torte.management.definition.Hardware;
import org.torte.management.definition.VmDefinition;
import org.torte.management.process.VmFolder;
import org.torte.management.process.WorkerEnd;
import org.torte.management.process.WorkerRecord;
import org.torte.worker.DiskSource;
import org.torte.worker.ExitReport;
import org.torte.worker.VirtualMachine;
import org.torte.worker.control.ControlServer;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code torte worker}: the process of a virtual machine, which the service starts. */
@Command(
        name = "torte worker",
        description = "Runs the virtual machine of a folder. The service does this; people use torte vm start.",
        sortOptions = false)
public final class WorkerCommand implements Callable<Integer> {
    @Parameters(index = "0", paramLabel = "FOLDER", description = "the folder of the virtual machine")
    Path folder = Path.of("");

    @Option(names = "--control", required = true, paramLabel = "SOCKET", description = "where it is asked")
    Path control = Path.of("");

    @Option(
            names = "--start",
            paramLabel = "ID",
            description = "which start of the machine this is, known to the service")
    @Nullable
    String start;

    @Option(names = "--switches", paramLabel = "FOLDER", description = "where the switches are")
    @Nullable
    Path switches;

    @Override
    public Integer call() throws IOException {
        VmFolder machine = new VmFolder(folder.toAbsolutePath().normalize());
        try (WorkerRecord record = WorkerRecord.begin(machine, control, start)) {
            WorkerEnd end;
            try {
                end = run(machine);
            } catch (RuntimeException e) {
                record.end(new WorkerEnd(WorkerEnd.Cause.FAILED, String.valueOf(e.getMessage())));
                throw e;
            }
            record.end(end);
            System.out.println("torte: " + end.detail());
            return 0;
        }
    }

    private WorkerEnd run(VmFolder machine) throws IOException {
        VmDefinition definition = machine.read();
        boolean saved = machine.isSaved(definition);
        VirtualMachine.Builder builder = saved
                ? VirtualMachine.builder().savedState(machine.savedState(definition))
                : describe(machine, definition);
        addDisks(builder, machine, definition);
        WorkerNetworks.of(machine, definition, switches).forEach(builder::network);
        builder.identity(definition.id());
        builder.hypervisor(definition.hardware().hypervisor());
        builder.translator(
                switch (definition.translator()) {
                    case ON -> TranslatorMode.ON;
                    case OFF -> TranslatorMode.OFF;
                });
        builder.onGuestFailure(line -> System.out.println("torte: the guest's system has failed: " + line));
        try (OutputStream console = new ConsoleLog(machine.run().resolve("console.log"));
                VirtualMachine vm = builder.consoleOutput(console).build()) {
            if (saved) {
                // From here on its disks change, and what was saved must not go on a second time.
                machine.forgetSavedState(definition);
            }
            vm.translatorObstacle()
                    .ifPresent(reason -> System.out.println("torte: the guest is interpreted: " + reason));
            vm.limitProcessors(definition.processorLimit());
            vm.start();
            try (ControlServer _ = ControlServer.open(control, vm)) {
                return conclude(machine, definition, vm.awaitExit(Duration.ofDays(36500)));
            }
        }
    }

    private static VirtualMachine.Builder describe(VmFolder machine, VmDefinition definition) {
        Hardware hardware = definition.hardware();
        VirtualMachine.Builder builder = VirtualMachine.builder()
                .memory(hardware.memory())
                .processors(hardware.processors())
                .append(hardware.boot().commandLine());
        hardware.kernel().ifPresent(kernel -> builder.kernel(machine.resolve(kernel)));
        hardware.boot().initrds().forEach(initrd -> builder.initrd(machine.resolve(initrd)));
        return builder;
    }

    /** For saved state too: a checkpoint's memory goes on in other files. */
    private static void addDisks(VirtualMachine.Builder builder, VmFolder machine, VmDefinition definition) {
        for (Hardware.Disk disk : definition.disks()) {
            builder.disk(new DiskSource(
                    machine.resolve(disk.path()),
                    DiskFormat.valueOf(disk.format().toUpperCase(Locale.ROOT)),
                    disk.readOnly()));
        }
    }

    private static WorkerEnd conclude(VmFolder machine, VmDefinition definition, ExitReport end) {
        return switch (end) {
            case ExitReport.PoweredOff() -> new WorkerEnd(WorkerEnd.Cause.POWERED_OFF, "the guest powered off");
            case ExitReport.GuestExit(int status) ->
                new WorkerEnd(WorkerEnd.Cause.POWERED_OFF, "the guest ended with status " + status);
            case ExitReport.Stopped() ->
                machine.isSaved(definition)
                        ? new WorkerEnd(WorkerEnd.Cause.SAVED, "it was saved")
                        : new WorkerEnd(WorkerEnd.Cause.TURNED_OFF, "it was turned off");
            case ExitReport.Crashed(String text) -> new WorkerEnd(WorkerEnd.Cause.CRASHED, text);
            case ExitReport.TimedOut() -> new WorkerEnd(WorkerEnd.Cause.FAILED, "the worker was interrupted");
            case ExitReport.Failed(Throwable cause) ->
                new WorkerEnd(WorkerEnd.Cause.FAILED, String.valueOf(cause.getMessage()));
        };
    }
}
