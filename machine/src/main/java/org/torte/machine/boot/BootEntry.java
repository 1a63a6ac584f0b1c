package org.torte.machine.boot;

import java.util.List;
import org.torte.machine.filesystem.Ext4File;

/**
 * Something that can be booted from a file system.
 *
 * @param kernel the kernel
 * @param initrds initial RAM disks, in the order in which they follow each other
 * @param options the kernel's command line; empty if nothing says one
 */
record BootEntry(Ext4File kernel, List<Ext4File> initrds, String options) {}
