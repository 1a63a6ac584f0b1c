package org.torte.disk;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.function.Function;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;
import org.torte.disk.DiskException.Kind;

/** Looks for the parent of a differencing disk where its image says that it is, inside the allowed folders only. */
public final class ParentSearch {
    private final Path child;
    private final List<String> written;
    private final List<Path> places;
    private final DiskOptions options;

    /**
     * Prepares a search.
     *
     * @param child the image, with symbolic links followed
     * @param written the paths of the parent in it, in the order in which they are to be tried
     */
    public ParentSearch(Path child, List<String> written, DiskOptions options) {
        this.child = child;
        this.written = List.copyOf(written);
        this.options = options;
        Set<Path> found = new LinkedHashSet<>();
        written.forEach(path -> found.addAll(ParentPath.onHost(child, path, options.volumes())));
        this.places = List.copyOf(found);
    }

    /**
     * Opens the first file that is the parent. A file that is not, such as a stale copy, is passed over while there are
     * other places.
     *
     * @param chain the files of the chain so far
     * @param opener opens a file and throws unless it is the right one
     * @throws DiskException PARENT_MISSING, PARENT_CYCLE, or what the opener threw for the first file there was
     */
    public <T> T open(Set<Path> chain, Function<Path, T> opener) {
        List<DiskException> refused = new ArrayList<>();
        for (Path place : places) {
            if (options.storage().exists(place)) {
                try {
                    Path real = options.storage().resolve(place, options.folders());
                    if (chain.contains(real)) {
                        throw cycle(real);
                    }
                    return opener.apply(real);
                } catch (DiskException e) {
                    refused.add(e);
                }
            }
        }
        if (!refused.isEmpty()) {
            throw refused.getFirst();
        }
        String where = places.isEmpty() ? "" : "; it was looked for at " + places;
        throw new DiskException(
                Kind.PARENT_MISSING,
                child.toString(),
                "its parent " + (written.isEmpty() ? "" : written.getFirst() + " ") + "is missing" + where,
                windowsOnly()
                        ? "say what the volume of Windows is here with --map, or name the parent with 'torte vhd reconnect'"
                        : "put the parent back, or say where it is with 'torte vhd reconnect'");
    }

    private boolean windowsOnly() {
        return places.isEmpty() && written.stream().anyMatch(ParentPath::ofWindows);
    }

    private DiskException cycle(Path parent) {
        return new DiskException(
                Kind.PARENT_CYCLE,
                child.toString(),
                "its parent " + parent + " is the disk itself or one of its children",
                "name the disk it was made from with 'torte vhd reconnect'");
    }

    /**
     * Whether this search comes to a file.
     *
     * @param parent the file, with symbolic links followed
     * @param fits whether another file at an earlier place is the right parent
     */
    public boolean leadsTo(Path parent, Predicate<Path> fits) {
        for (Path place : places) {
            @Nullable Path real = existing(place);
            if (parent.equals(real)) {
                return true;
            }
            if (real != null && fits.test(real)) {
                return false;
            }
        }
        return false;
    }

    private @Nullable Path existing(Path place) {
        try {
            return options.storage().exists(place) ? options.storage().resolve(place, options.folders()) : null;
        } catch (DiskException e) {
            return null;
        }
    }
}
