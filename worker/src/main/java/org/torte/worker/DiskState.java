package org.torte.worker;

import java.nio.file.Path;
import java.util.List;

/**
 * A disk of a machine.
 *
 * @param source its file, where it is now, with its format and whether the guest may only read it
 * @param size in bytes, as the guest sees it
 * @param layers the files it is made of, its own first, the last without a parent
 */
public record DiskState(DiskSource source, long size, List<Path> layers) {}
