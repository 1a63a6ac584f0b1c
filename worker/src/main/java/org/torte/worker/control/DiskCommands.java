package org.torte.worker.control;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.torte.disk.DiskException;
import org.torte.disk.operation.LiveDisk;
import org.torte.disk.operation.Merge;
import org.torte.worker.DiskState;
import org.torte.worker.VirtualMachine;

/** What can be asked of a machine about its disks while the guest uses them. */
final class DiskCommands {
    private final VirtualMachine machine;

    DiskCommands(VirtualMachine machine) {
        this.machine = machine;
    }

    /** Every disk with its size and the files it is made of. */
    Map<String, Object> list() {
        List<Map<String, Object>> list = new ArrayList<>();
        machine.diskStates().forEach((unit, state) -> list.add(shown(unit, state)));
        return Map.of("disks", list);
    }

    private static Map<String, Object> shown(int unit, DiskState state) {
        Map<String, Object> shown = new LinkedHashMap<>();
        shown.put("unit", unit);
        shown.put("file", state.source().file().toAbsolutePath().toString());
        shown.put("format", state.source().format().name().toLowerCase(Locale.ROOT));
        shown.put("read-only", state.source().readOnly());
        shown.put("size", state.size());
        shown.put("parents", state.layers().stream().skip(1).map(Path::toString).toList());
        return shown;
    }

    /** Makes a disk larger and tells the guest. */
    Map<String, Object> grow(ControlParameters parameters) {
        parameters.allow("unit", "size");
        int unit = unit(parameters);
        machine.growDisk(unit, parameters.number("size", 1, Long.MAX_VALUE, null));
        return Map.of("unit", unit, "size", machine.disk(unit).size());
    }

    /** Merges a file of a disk into the one below; without a file, the disk's own. Ends when the asker has gone. */
    Map<String, Object> merge(ControlParameters parameters, ControlCommands.Asker asker) {
        parameters.allow("unit", "file");
        int unit = unit(parameters);
        LiveDisk disk = machine.disk(unit);
        Path file =
                parameters.has("file") ? parameters.path("file") : disk.layers().getFirst();
        Percent progress = new Percent(asker);
        try {
            Merge.Plan plan = disk.merge(file, (done, total) -> {
                progress.advanced(done, total);
                return !asker.gone() && !asker.cancelled();
            });
            return Map.of(
                    "unit",
                    unit,
                    "merged",
                    file.toString(),
                    "parent",
                    plan.parent().toString());
        } catch (DiskException e) {
            throw refused(e);
        }
    }

    /** What went wrong with an image, as an answer. */
    static ControlException refused(DiskException e) {
        ControlException.Code code = switch (e.kind()) {
            case IN_USE -> ControlException.Code.BUSY;
            case CANCELLED -> ControlException.Code.CANCELLED;
            case CLOSED -> ControlException.Code.WRONG_STATE;
            default -> ControlException.Code.HOST;
        };
        return new ControlException(code, String.valueOf(e.getMessage()));
    }

    private static int unit(ControlParameters parameters) {
        return (int) parameters.number("unit", 0, Integer.MAX_VALUE, null);
    }
}
