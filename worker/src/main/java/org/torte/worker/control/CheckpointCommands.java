package org.torte.worker.control;

import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.torte.base.GuestMemory;
import org.torte.disk.DiskException;
import org.torte.disk.operation.LiveDisk;
import org.torte.disk.operation.Merge;
import org.torte.hypervisor.LiveCopy;
import org.torte.worker.VirtualMachine;

/** What can be asked of a machine about its checkpoints; who has which is the asker's business. */
final class CheckpointCommands {
    private final VirtualMachine machine;

    CheckpointCommands(VirtualMachine machine) {
        this.machine = machine;
    }

    /** Keeps memory, if a file is given for it, and disks as they are. Cancelled, it ends unless it is as good as done. */
    Map<String, Object> create(ControlParameters parameters, ControlCommands.Asker asker) {
        parameters.allow("memory", "disks");
        Optional<Path> memory = parameters.has("memory") ? Optional.of(parameters.path("memory")) : Optional.empty();
        Map<Integer, Path> children = parameters.paths("disks");
        asker.accept(memory.isPresent() ? "keeping memory and disks" : "keeping disks");
        Percent percent = new Percent(asker);
        VirtualMachine.Checkpointed done = machine.checkpoint(memory, children, (at, total) -> {
            if (asker.cancelled()) {
                throw new ControlException(
                        ControlException.Code.CANCELLED, "cancelled; the machine goes on as if nothing had been asked");
            }
            percent.advanced(at, total);
        });
        Map<String, Object> answer = new TreeMap<>();
        answer.put("stood-ms", done.stood().toMillis());
        answer.put("frozen", done.frozen());
        done.copied().ifPresent(copied -> {
            answer.put("rounds", copied.rounds());
            answer.put("copied-again", copied.again() * GuestMemory.PAGE_SIZE);
            answer.put("copied-last", copied.last() * GuestMemory.PAGE_SIZE);
            answer.put("least-speed", (double) copied.speed() / LiveCopy.FULL_SPEED);
        });
        return answer;
    }

    /** Merges an image of a disk's chain into the one below. Cancelled, it ends, and can go on another time. */
    Map<String, Object> merge(ControlParameters parameters, ControlCommands.Asker asker) {
        parameters.allow("file");
        Path file = parameters.path("file");
        LiveDisk disk = machine.diskWithLayer(file);
        Percent percent = new Percent(asker);
        try {
            Merge.Plan plan = disk.merge(file, (done, total) -> {
                percent.advanced(done, total);
                return !asker.cancelled();
            });
            return Map.of("parent", plan.parent().toString());
        } catch (DiskException e) {
            throw DiskCommands.refused(e);
        }
    }

    /** Where each disk is now. */
    Map<String, Object> disks() {
        Map<String, Object> files = new TreeMap<>();
        machine.settledDisks()
                .forEach((unit, source) ->
                        files.put(unit.toString(), source.file().toString()));
        return Map.of("disks", files);
    }
}
