package org.torte.management.process;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.function.BiFunction;
import org.torte.management.Problem;
import org.torte.management.definition.VmDefinition;
import org.torte.management.memory.HostMemory;
import org.torte.management.memory.LinuxMemory;
import org.torte.management.store.DurableFile;
import org.torte.management.store.Reason;

/** Workers that are processes. */
public final class WorkerProcesses implements Workers {
    /** What the kernel takes as a path of a socket, less what its maker adds for a moment. */
    private static final int MAX_SOCKET = 80;

    private final HostMemory host = new LinuxMemory();
    private final Path sockets;
    private final BiFunction<Path, Path, List<String>> command;

    /**
     * Makes workers.
     *
     * @param data the data folder, which has the sockets: their paths must be short
     * @param command gives what starts a worker for a folder with a control socket
     */
    public WorkerProcesses(Path data, BiFunction<Path, Path, List<String>> command) {
        sockets = data.resolve("run");
        this.command = command;
    }

    @Override
    public Worker start(VmFolder folder, VmDefinition definition) {
        Path control = sockets.resolve(definition.id().toString().substring(0, 18) + ".sock");
        if (control.toString().getBytes(StandardCharsets.UTF_8).length > MAX_SOCKET) {
            throw new Problem(
                    Problem.Kind.UNAVAILABLE,
                    "the path of the control socket " + control + " is too long for the kernel",
                    "use a data folder with a shorter path (--data)");
        }
        try {
            DurableFile.makeFolder(sockets);
            DurableFile.makeFolder(folder.run());
            DurableFile.delete(folder.run().resolve("end.json"));
            Process process = new ProcessBuilder(command.apply(folder.path(), control))
                    .redirectInput(Path.of("/dev/null").toFile())
                    .redirectErrorStream(true)
                    .redirectOutput(folder.run().resolve("worker.log").toFile())
                    .start();
            return new WorkerProcess(folder, control, process.toHandle(), process);
        } catch (IOException e) {
            throw new Problem(
                    Problem.Kind.UNAVAILABLE,
                    "the worker's process cannot be started (" + Reason.of(e) + ")",
                    "make room for it, and give the user of the service permission to write in " + folder.run(),
                    e);
        }
    }

    @Override
    public Optional<Worker> find(VmFolder folder, VmDefinition definition) {
        return WorkerRecord.running(folder)
                .flatMap(identity -> ProcessHandle.of(identity.processId())
                        .map(process -> new WorkerProcess(folder, Path.of(identity.control()), process, null)));
    }

    @Override
    public Optional<WorkerEnd> lost(VmFolder folder) {
        Optional<WorkerEnd> end = WorkerRecord.identity(folder)
                .map(identity -> WorkerRecord.end(folder)
                        .orElseGet(() -> new WorkerEnd(
                                WorkerEnd.Cause.DIED,
                                "the worker's process " + identity.processId()
                                        + " ended without a word while no service ran"
                                        + WorkerProcess.log(folder))));
        WorkerRecord.forget(folder);
        return end;
    }

    @Override
    public HostMemory memory() {
        return host;
    }
}
