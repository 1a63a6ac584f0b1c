package org.torte.bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyPairGenerator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.torte.testing.PackagedPrograms;
import org.torte.worker.InputException;
import org.torte.worker.guest.GuestImages;

/**
 * Writes the guests of {@code bench/translator} into a folder: a kernel, an initial RAM disk with a script and the files that
 * it needs ({@code small.cpio}), and one that has a distribution's programs besides ({@code programs.cpio}), unless its packages
 * cannot be had, which is said.
 */
final class TranslatorGuest {
    private static final List<String> PACKAGES =
            List.of("openssl", "xz-utils", "sqlite3", "python3-minimal", "libpython3-stdlib", "cpp");

    private TranslatorGuest() {}

    /** {@code FOLDER SCRIPT programs|small FILE...}: the files are in the guest's folder {@code rows}. */
    public static void main(String[] arguments) throws IOException, InterruptedException, GeneralSecurityException {
        Path folder = Path.of(arguments[0]);
        String script = Files.readString(Path.of(arguments[1]));
        GuestImages images = new GuestImages(TranslatorGuest::say);
        Path kernel = images.kernel(GuestImages.CLOUD_KERNEL);
        Files.copy(kernel, folder.resolve("kernel"));
        Files.writeString(folder.resolve("kernel.name"), kernel.getFileName().toString());
        Map<String, byte[]> files = new HashMap<>();
        for (String file : List.of(arguments).subList(3, arguments.length)) {
            files.put("rows/" + Path.of(file).getFileName(), Files.readAllBytes(Path.of(file)));
        }
        images.initrd(script, files, folder.resolve("small.cpio"));
        if (!arguments[2].equals("programs")) {
            return;
        }
        KeyPairGenerator keys = KeyPairGenerator.getInstance("RSA");
        keys.initialize(2048);
        files.put("rows/key.der", keys.generateKeyPair().getPrivate().getEncoded());
        try {
            say("downloading programs");
            PackagedPrograms programs = PackagedPrograms.unpack(PACKAGES, folder.resolve("programs"));
            Path initrd = folder.resolve("programs.new");
            images.initrd(script, files, initrd);
            programs.appendTo(initrd);
            Files.move(initrd, folder.resolve("programs.cpio"));
        } catch (InputException e) {
            say("no rows with a distribution's programs: " + e.getMessage());
        }
    }

    private static void say(String text) {
        System.err.println("bench: " + text);
    }
}
