package org.torte.disk;

import java.util.Optional;
import java.util.UUID;

/**
 * What an image says about itself, like Get-VHD.
 *
 * @param image the path
 * @param format the format
 * @param type fixed, dynamic or differencing
 * @param size bytes that the guest sees
 * @param fileSize bytes of the file
 * @param allocated bytes of the host's storage that the file takes
 * @param blockSize bytes of one block; 0 for raw and fixed VHD
 * @param logicalSectorSize bytes
 * @param physicalSectorSize bytes
 * @param identifier what identifies the disk to the guest; the nil identifier for raw
 * @param contentIdentifier what changes when the content changes (VHDX DataWriteGuid), and what a child of this disk
 *     remembers; the same as {@code identifier} for VHD, nil for raw
 * @param parent where the image says its parent is, as written there
 * @param inUse whether the image was not closed properly or is open elsewhere, as far as it shows: its log is not empty. It
 *     stays empty while whoever has it open changes no metadata
 */
public record DiskInfo(
        String image,
        DiskFormat format,
        DiskType type,
        long size,
        long fileSize,
        long allocated,
        int blockSize,
        int logicalSectorSize,
        int physicalSectorSize,
        UUID identifier,
        UUID contentIdentifier,
        Optional<String> parent,
        boolean inUse) {}
