/**
 * Storage for guests: a SCSI controller on the VMBus (the protocol of the guests' storvsc driver, versions 2.0 to 6.2) and
 * the commands of its disks (T10 SPC-4, SBC-3), which work on {@link org.torte.disk.VirtualDisk}s.
 *
 * <p>A request names guest memory, which is checked; data then move straight between that memory and the disk where it is
 * contiguous enough, on a thread that may block. A controller takes a bounded number of requests out of the guest's ring;
 * the others wait there.
 *
 * <p>Departures: tags, task attributes, reservations and resets have no effect, because every request is carried out as
 * soon as there is a thread for it and ends on its own.
 */
package org.torte.machine.storage;
