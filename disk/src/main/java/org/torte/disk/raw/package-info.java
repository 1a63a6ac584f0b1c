/** Disks without a format: the file or block device is the content. */
package org.torte.disk.raw;
