package org.torte.management.process;

import java.io.IOException;
import java.lang.System.Logger.Level;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Pattern;
import org.torte.management.Problem;
import org.torte.management.definition.DefinitionUpgrade;
import org.torte.management.definition.DefinitionUpgrade.Found;
import org.torte.management.definition.Json;
import org.torte.management.definition.VmDefinition;
import org.torte.management.store.DurableFile;
import org.torte.management.store.Reason;

/**
 * The folder of a virtual machine: its definition, its saved state, what belongs to its worker, and usually its disks.
 *
 * @param path absolute
 */
public record VmFolder(Path path) {
    private static final System.Logger LOG = System.getLogger(VmFolder.class.getName());

    private static final Pattern PART =
            Pattern.compile("\\.(?:torte-|definition|checkpoint-|saved|worker\\.json|end\\.json|start).*\\.part");

    private static final int MAX_DEFINITION = 1 << 20;

    /** What it is. */
    public Path definition() {
        return path.resolve("definition.json");
    }

    /** Its memory and devices, while it is saved. */
    public Path savedState(VmDefinition its) {
        return path.resolve(its.savedState());
    }

    /** What exists only while a worker runs, and what the last one left. */
    public Path run() {
        return path.resolve("run");
    }

    /** A path of the definition: absolute, or relative to this folder. */
    public Path resolve(String file) {
        return path.resolve(file).normalize();
    }

    /**
     * Reads the definition.
     *
     * @throws Problem what is wrong with it
     */
    public VmDefinition read() {
        return find().definition();
    }

    private Found find() {
        byte[] text;
        try {
            if (Files.size(definition()) > MAX_DEFINITION) {
                throw new Problem(
                        Problem.Kind.INVALID,
                        "the definition " + definition() + " is larger than " + MAX_DEFINITION + " bytes",
                        "put back the right file");
            }
            text = Files.readAllBytes(definition());
        } catch (NoSuchFileException e) {
            throw new Problem(
                    Problem.Kind.NOT_FOUND,
                    "there is no definition " + definition(),
                    "put it back, or remove the folder",
                    e);
        } catch (IOException e) {
            throw new Problem(
                    Problem.Kind.UNAVAILABLE,
                    "the definition " + definition() + " cannot be read (" + Reason.of(e) + ")",
                    "give the user of the service permission to read it",
                    e);
        }
        return DefinitionUpgrade.read(text, "the definition " + definition());
    }

    /**
     * Reads the definition, and writes one of an older version as it is written now; the older one is kept beside it.
     *
     * @throws Problem what is wrong with it
     */
    public VmDefinition readUpgraded() {
        Found found = find();
        if (found.written() == VmDefinition.VERSION) {
            return found.definition();
        }
        try {
            DurableFile.replace(
                    path.resolve("definition.version" + found.written() + ".json"), Files.readAllBytes(definition()));
        } catch (IOException e) {
            throw unwritable(e);
        }
        write(found.definition());
        return found.definition();
    }

    /**
     * Writes the definition, durably.
     *
     * @throws Problem UNAVAILABLE; the old one is untouched then
     */
    public void write(VmDefinition value) {
        try {
            DurableFile.replace(definition(), Json.pretty(value));
        } catch (IOException e) {
            throw unwritable(e);
        }
    }

    private Problem unwritable(IOException e) {
        return new Problem(
                Problem.Kind.UNAVAILABLE,
                "the definition " + definition() + " cannot be written (" + Reason.of(e) + ")",
                "make room, and give the user of the service permission to write there",
                e);
    }

    /**
     * Throws away the saved state, durably.
     *
     * @throws Problem UNAVAILABLE; it is still there then
     */
    public void forgetSavedState(VmDefinition its) {
        try {
            DurableFile.delete(savedState(its));
        } catch (IOException e) {
            throw new Problem(
                    Problem.Kind.UNAVAILABLE,
                    "the saved state " + savedState(its) + " cannot be deleted (" + Reason.of(e) + ")",
                    "give the user of the service permission to write there",
                    e);
        }
    }

    /**
     * While no worker runs and nobody writes here: deletes what those have left who were killed while they wrote a file
     * that was to replace another.
     */
    public void sweep() {
        for (Path place : List.of(path, run())) {
            if (!Files.isDirectory(place)) {
                continue;
            }
            try (DirectoryStream<Path> left = Files.newDirectoryStream(
                    place,
                    file -> PART.matcher(String.valueOf(file.getFileName())).matches())) {
                for (Path file : left) {
                    Files.deleteIfExists(file);
                }
            } catch (IOException | DirectoryIteratorException e) {
                // It does no harm but to take room.
                LOG.log(Level.WARNING, place + " cannot be cleaned", e);
            }
        }
    }

    /** Whether it is saved. */
    public boolean isSaved(VmDefinition its) {
        return Files.exists(savedState(its));
    }
}
