/**
 * Virtual disks: what a guest's controller and the disk operations see ({@link org.torte.disk.VirtualDisk}), how images
 * are opened, made and checked ({@link org.torte.disk.VirtualDisks}), and the storage below a format
 * ({@link org.torte.disk.DiskFile}), which is an interface so that tests can record it, cut its power and make it fail.
 *
 * <p>VHDX follows [MS-VHDX] v20210625; it lives in {@code org.torte.disk.vhdx}. VHD follows the "Virtual Hard Disk Image
 * Format Specification" 1.0 and lives in {@code org.torte.disk.vhd}. docs/disks.md lists the guarantees and where files
 * written by other software depart from the specifications.
 */
package org.torte.disk;
