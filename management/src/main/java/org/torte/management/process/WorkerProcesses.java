package org.torte.management.process;

import java.io.IOException;
import java.lang.System.Logger.Level;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import org.torte.management.Problem;
import org.torte.management.definition.VmDefinition;
import org.torte.management.memory.HostMemory;
import org.torte.management.memory.LinuxMemory;
import org.torte.management.store.DurableFile;
import org.torte.management.store.Reason;

/** Workers that are processes. */
public final class WorkerProcesses implements Workers {
    private static final System.Logger LOG = System.getLogger(WorkerProcesses.class.getName());

    /** What the kernel takes as a path of a socket, less what its maker adds for a moment. */
    private static final int MAX_SOCKET = 80;

    private final HostMemory host = new LinuxMemory();
    private final Path sockets;
    private final Command command;

    /** What starts the worker of a machine. */
    @FunctionalInterface
    public interface Command {
        /** The program and its arguments, for the machine of a folder with a control socket. */
        List<String> of(Path folder, VmDefinition machine, Path control);
    }

    /**
     * Makes workers.
     *
     * @param data the data folder, which has the sockets: their paths must be short
     * @param command gives what starts a worker
     */
    public WorkerProcesses(Path data, Command command) {
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
            String start = UUID.randomUUID().toString();
            WorkerRecord.want(folder, start);
            List<String> line = new ArrayList<>(command.of(folder.path(), definition, control));
            line.addAll(List.of("--start", start));
            Process process = new ProcessBuilder(line)
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
        return WorkerRecord.adopt(folder)
                .flatMap(identity -> ProcessHandle.of(identity.processId())
                        .map(process -> new WorkerProcess(folder, Path.of(identity.control()), process, null)));
    }

    @Override
    public Optional<WorkerEnd> lost(VmFolder folder) {
        Optional<WorkerRecord.Identity> last = WorkerRecord.identity(folder);
        last.map(identity -> Path.of(identity.control()))
                .filter(control -> sockets.equals(control.getParent()))
                .ifPresent(WorkerProcess::removeSocket);
        Optional<WorkerEnd> end = last.map(identity -> WorkerRecord.end(folder)
                .orElseGet(() -> new WorkerEnd(
                        WorkerEnd.Cause.DIED,
                        "the worker's process " + identity.processId()
                                + " ended without a word while no service ran"
                                + WorkerProcess.log(folder))));
        WorkerRecord.forget(folder);
        return end;
    }

    @Override
    public void sweep() {
        if (!Files.isDirectory(sockets)) {
            return;
        }
        try (DirectoryStream<Path> left = Files.newDirectoryStream(sockets, "{*.sock,.t*}")) {
            for (Path one : left) {
                // A socket, or the folder in which it was made.
                if (Files.isDirectory(one, LinkOption.NOFOLLOW_LINKS)) {
                    Files.deleteIfExists(one.resolve("s"));
                }
                Files.deleteIfExists(one);
            }
        } catch (IOException | DirectoryIteratorException e) {
            LOG.log(Level.WARNING, sockets + " cannot be cleaned", e);
        }
    }

    @Override
    public HostMemory memory() {
        return host;
    }
}
