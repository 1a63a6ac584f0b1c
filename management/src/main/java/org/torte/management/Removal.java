package org.torte.management;

import java.io.IOException;
import java.lang.System.Logger.Level;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.torte.management.definition.VmDefinition;
import org.torte.management.process.VmFolder;
import org.torte.management.store.DurableFile;
import org.torte.management.store.Reason;

/** What becomes of the files of a virtual machine that is removed. */
final class Removal {
    private static final System.Logger LOG = System.getLogger(Removal.class.getName());
    private static final int MAX_NAMES = 1000;

    private Removal() {}

    /**
     * Removes it from where a service looks for machines. With its disks, nothing is left but what lies outside its folder, or is
     * unknown. Without, its folder goes as it is to where removed ones are, and can be registered from there; one that lies
     * elsewhere stays where it is.
     *
     * @param data the data folder
     * @param elsewhere whether the folder lies outside the data folder
     * @throws Problem UNAVAILABLE when that cannot be done
     */
    static Removed remove(
            DataFolder data, VmFolder folder, VmDefinition definition, boolean elsewhere, boolean withDisks) {
        List<Path> disks = new ArrayList<>(definition.disks().stream()
                .map(disk -> folder.resolve(disk.path()))
                .toList());
        try {
            boolean worthKeeping =
                    disks.stream().anyMatch(disk -> disk.startsWith(folder.path()) && Files.exists(disk));
            if (!withDisks && elsewhere) {
                return new Removed(Optional.of(folder.path()), disks);
            }
            if (withDisks) {
                for (Path disk : disks) {
                    if (disk.startsWith(folder.path())) {
                        Files.deleteIfExists(disk);
                    }
                }
                disks.removeIf(disk -> disk.startsWith(folder.path()));
            }
            if (withDisks || !worthKeeping) {
                deleteKnown(folder, definition);
            }
            if (isEmpty(folder.path())) {
                Files.deleteIfExists(folder.path());
                return new Removed(Optional.empty(), disks);
            }
            if (elsewhere) {
                return new Removed(Optional.of(folder.path()), disks);
            }
            Path place = place(data, definition);
            Files.move(folder.path(), place, StandardCopyOption.ATOMIC_MOVE);
            DurableFile.forceFolder(data.removed());
            DurableFile.forceFolder(data.machines());
            disks.replaceAll(disk ->
                    disk.startsWith(folder.path()) ? place.resolve(folder.path().relativize(disk)) : disk);
            return new Removed(Optional.of(place), disks);
        } catch (IOException e) {
            throw new Problem(
                    Problem.Kind.UNAVAILABLE,
                    "the folder " + folder.path() + " cannot be removed (" + Reason.of(e) + ")",
                    "give the user of the service permission to write there, and restart it",
                    e);
        }
    }

    private static void deleteKnown(VmFolder folder, VmDefinition definition) throws IOException {
        // First what makes it a virtual machine: half of one must not come back.
        DurableFile.delete(folder.definition());
        DurableFile.delete(folder.savedState(definition));
        try (Stream<Path> children = Files.list(folder.path())) {
            for (Path child : children.toList()) {
                String name = String.valueOf(child.getFileName());
                if (name.startsWith("network-") || name.equals("run")) {
                    deleteQuietly(child);
                } else if (name.matches("definition\\.version\\d+\\.json")) {
                    Files.delete(child);
                }
            }
        }
    }

    /** A folder of its own that people recognise. */
    private static Path place(DataFolder data, VmDefinition definition) throws IOException {
        DurableFile.makeFolder(data.removed());
        String name = definition.name() + "-" + definition.id().toString().substring(0, 8);
        for (int i = 1; i <= MAX_NAMES; i++) {
            Path place = data.removed().resolve(i == 1 ? name : name + "-" + i);
            if (!Files.exists(place)) {
                return place;
            }
        }
        throw new IOException("there are " + MAX_NAMES + " like it in " + data.removed());
    }

    private static boolean isEmpty(Path folder) throws IOException {
        try (Stream<Path> children = Files.list(folder)) {
            return children.findAny().isEmpty();
        } catch (NoSuchFileException e) {
            return true;
        }
    }

    /** Deletes a folder with all that is in it, as far as it goes. */
    static void deleteQuietly(Path folder) {
        try (Stream<Path> all = Files.walk(folder)) {
            for (Path file : all.sorted(Comparator.reverseOrder()).toList()) {
                Files.delete(file);
            }
        } catch (NoSuchFileException e) {
            // There is nothing to delete.
            return;
        } catch (IOException e) {
            LOG.log(Level.WARNING, "the folder " + folder + " stays", e);
        }
    }
}
