/**
 * File systems on the disks of guests, read by the host: partition tables (MBR; GPT after the UEFI specification 2.10,
 * section 5) and ext2, ext3 and ext4 (Linux Documentation/filesystems/ext4, and journalling.rst for JBD2).
 *
 * <p>A disk's content is the guest's and not trusted. Every structure is checked before it is used, nothing is followed in
 * circles, and what is kept in memory is bounded by constants here and by sizes that the caller names. Whatever the disk
 * holds, the only exception is {@link org.torte.machine.filesystem.DamagedException}. Nothing is written: the journal of a
 * file system that was not unmounted is replayed in memory.
 *
 * <p>Departures: checksums of metadata are not compared, but those of the journal are, as they tell a complete transaction
 * from a torn one; fast commits are not replayed, which gives the state of the last full commit; names are compared byte
 * by byte; encrypted and compressed files are refused.
 */
package org.torte.machine.filesystem;
