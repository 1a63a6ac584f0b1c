package org.torte.management.rest;

import java.nio.file.Path;
import java.time.Instant;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.torte.management.Events;
import org.torte.management.Names;
import org.torte.management.Removed;
import org.torte.management.Task;
import org.torte.management.Vm;
import org.torte.management.definition.Adapter;
import org.torte.management.definition.DynamicMemory;
import org.torte.management.definition.Hardware;
import org.torte.management.definition.Json;
import org.torte.management.definition.VmDefinition;
import org.torte.management.memory.MemoryUse;
import org.torte.management.process.WorkerEnd;

/** What the interface says of things; openapi.yaml describes the same. */
final class Answers {
    private Answers() {}

    /** Some of many, and how to get the next. */
    record Page<T>(List<T> items, @Nullable String next) {}

    /** A virtual machine. */
    record VmAnswer(
            String id,
            String name,
            String state,
            String notes,
            int processors,
            long memory,
            @Nullable DynamicMemory dynamicMemory,
            @Nullable MemoryUse memoryUse,
            Hardware.Boot boot,
            List<Hardware.Disk> disks,
            String hypervisor,
            int processorLimit,
            VmDefinition.Translator translator,
            VmDefinition.AutomaticStart automaticStart,
            List<Adapter> adapters,
            String folder,
            @Nullable String silence,
            @Nullable Long processId,
            @Nullable String since,
            @Nullable Long task,
            @Nullable EndAnswer lastEnd) {}

    /** How it ended. */
    record EndAnswer(String cause, String detail) {}

    /** A task. */
    record TaskAnswer(
            long id,
            String kind,
            String target,
            String targetName,
            String state,
            int progress,
            String created,
            @Nullable String ended,
            String owner,
            List<String> log,
            @Nullable FailureAnswer problem) {}

    /** Why a task failed. */
    record FailureAnswer(String kind, String cause, String remedy) {}

    /** An event. */
    record EventAnswer(long id, String time, String type, String subject, Object data) {}

    /** What is left of a virtual machine. */
    record RemovedAnswer(@Nullable String folder, List<String> disks) {}

    static RemovedAnswer of(Removed left) {
        return new RemovedAnswer(
                left.folder().map(Path::toString).orElse(null),
                left.disks().stream().map(Path::toString).toList());
    }

    static VmAnswer of(Vm.View view) {
        VmDefinition definition = view.definition();
        Hardware hardware = definition.hardware();
        WorkerEnd end = view.lastEnd();
        return new VmAnswer(
                definition.id().toString(),
                definition.name(),
                view.state().label(),
                definition.notes(),
                hardware.processors(),
                hardware.memory(),
                hardware.dynamicMemory(),
                view.memory(),
                hardware.boot(),
                hardware.disks(),
                hardware.hypervisor(),
                definition.processorLimit(),
                definition.translator(),
                definition.automaticStart(),
                hardware.adapters(),
                view.folder().path().toString(),
                view.silence(),
                view.processId(),
                text(view.since()),
                view.task(),
                end == null ? null : new EndAnswer(Names.of(end.cause()), end.detail()));
    }

    static TaskAnswer of(Task.View view) {
        Task.Failure failure = view.problem();
        return new TaskAnswer(
                view.id(),
                view.kind(),
                view.target(),
                view.targetName(),
                Names.of(view.state()),
                view.progress(),
                view.created().toString(),
                text(view.ended()),
                view.owner(),
                view.log(),
                failure == null
                        ? null
                        : new FailureAnswer(Names.of(failure.kind()), failure.cause(), failure.remedy()));
    }

    static EventAnswer of(Events.Event event) {
        Object data = Json.read(
                event.data().getBytes(java.nio.charset.StandardCharsets.UTF_8), Object.class, "event " + event.id());
        return new EventAnswer(event.id(), event.time().toString(), event.type(), event.subject(), data);
    }

    private static @Nullable String text(@Nullable Instant time) {
        return time == null ? null : time.toString();
    }
}
