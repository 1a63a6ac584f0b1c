package org.torte.bench;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.torte.worker.guest.TinyGuest;

/** The tiny guest on QEMU's software processor, its console on QEMU's standard output. */
final class QemuGuest implements GuestLine {
    private final Process qemu;
    private final StringBuilder unread = new StringBuilder();

    /**
     * Starts it with 512 MiB and one processor.
     *
     * @param disk a raw disk of the guest
     * @param devices more of QEMU's options
     */
    QemuGuest(TinyGuest guest, Path disk, String... devices) throws IOException {
        List<String> command = new ArrayList<>(
                List.of("qemu-system-x86_64", "-accel", "tcg", "-cpu", "qemu64,+sse4.2,+ssse3,+popcnt", "-smp", "1"));
        command.addAll(List.of("-m", "512M", "-no-reboot", "-nodefaults", "-display", "none", "-serial", "stdio"));
        command.addAll(List.of("-machine", "q35", "-kernel", guest.kernel().toString()));
        command.addAll(List.of("-initrd", guest.initrd().toString(), "-append", guest.commandLine()));
        command.addAll(List.of("-drive", "file=" + disk + ",format=raw,if=virtio,cache=writeback"));
        command.addAll(List.of(devices));
        qemu = new ProcessBuilder(command)
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
    }

    @Override
    public void type(String text) throws IOException {
        OutputStream input = qemu.getOutputStream();
        input.write(text.getBytes(StandardCharsets.UTF_8));
        input.flush();
    }

    @Override
    public String waitFor(Pattern pattern) throws IOException {
        InputStream output = qemu.getInputStream();
        byte[] bytes = new byte[4096];
        while (true) {
            Matcher found = pattern.matcher(unread);
            if (found.find()) {
                String text = unread.substring(0, found.end());
                unread.delete(0, found.end());
                return text;
            }
            int got = output.read(bytes);
            if (got < 0) {
                throw new IOException("QEMU has ended: " + unread);
            }
            unread.append(new String(bytes, 0, got, StandardCharsets.ISO_8859_1));
        }
    }

    @Override
    public long exits() {
        return -1;
    }

    @Override
    public ProcessHandle process() {
        return qemu.toHandle();
    }

    @Override
    public void close() {
        qemu.destroy();
    }
}
