package org.torte.testing;

import java.io.IOException;
import java.io.OutputStream;
import java.io.RandomAccessFile;
import java.io.UncheckedIOException;
import java.nio.file.FileVisitOption;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.torte.disk.DiskFormat;
import org.torte.worker.DiskSource;
import org.torte.worker.VirtualMachine;
import org.torte.worker.guest.CpioArchive;

/** Files on their way into a guest: an archive on a disk that is plugged in for as long as it takes to unpack it. */
record PushedFiles(Path image) {
    private static final long SECTOR = 512;

    void push(Path source, String target, VirtualMachine machine, GuestShell shell) {
        if (!target.startsWith("/") || target.contains("'") || target.contains("\n")) {
            throw new IllegalArgumentException("the path in the guest starts with / and has no quotes: " + target);
        }
        try {
            write(source, target.substring(1));
            int unit = machine.addDisk(new DiskSource(image, DiskFormat.RAW, true));
            String device = "/sys/bus/scsi/devices/0:0:0:" + unit;
            try {
                shell.output("until ls " + device + "/block/* >/dev/null 2>&1; do usleep 20000; done");
                // Names of devices are made by the kernel; the unit's number is ours.
                shell.output("cd / && cpio -idu </dev/$(ls " + device + "/block) 2>/tmp/.push && cd - >/dev/null"
                        + " || { cat /tmp/.push; cd - >/dev/null; false; }");
            } finally {
                machine.removeDisk(unit);
                shell.output("while [ -e " + device + " ]; do usleep 20000; done; rm -f /tmp/.push");
            }
            Files.delete(image);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private void write(Path source, String target) throws IOException {
        CpioArchive archive = new CpioArchive();
        try (Stream<Path> files = Files.walk(source, FileVisitOption.FOLLOW_LINKS)) {
            List<Path> all = files.sorted().toList();
            for (Path file : all) {
                String inside = source.relativize(file).toString();
                String path = inside.isEmpty() ? target : target + "/" + inside;
                if (Files.isDirectory(file)) {
                    archive.directory(path);
                } else {
                    archive.file(path, Files.isExecutable(file) ? 0755 : 0644, Files.readAllBytes(file));
                }
            }
        }
        try (OutputStream stream = Files.newOutputStream(image)) {
            archive.writeTo(stream);
        }
        try (RandomAccessFile file = new RandomAccessFile(image.toFile(), "rw")) {
            // A disk has whole sectors.
            file.setLength((file.length() + SECTOR - 1) / SECTOR * SECTOR);
        }
    }
}
