package org.torte.management.process;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
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

    /** Whether it is saved. */
    public boolean isSaved(VmDefinition its) {
        return Files.exists(savedState(its));
    }
}
