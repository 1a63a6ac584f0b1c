package org.torte.bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.torte.worker.guest.GuestImages;

/** Writes the guest that {@code bench/boot} boots into a folder: a kernel and two initial RAM disks. */
final class BootGuest {
    private BootGuest() {}

    public static void main(String[] arguments) throws IOException {
        Path folder = Path.of(arguments[0]);
        GuestImages images = new GuestImages(step -> System.err.println("bench: " + step));
        Path kernel = images.kernel(GuestImages.CLOUD_KERNEL);
        Files.copy(kernel, folder.resolve("kernel"));
        Files.writeString(folder.resolve("kernel.name"), kernel.getFileName().toString());
        images.initrd("echo BOOT DONE\n", Map.of(), folder.resolve("boot.cpio"));
        images.initrd("echo IDLE NOW\nsleep 1000\n", Map.of(), folder.resolve("idle.cpio"));
    }
}
