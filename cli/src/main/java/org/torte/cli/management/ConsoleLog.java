package org.torte.cli.management;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;

/**
 * What a guest has written to its console, the last of it: when a file is full it becomes {@code FILE.1}, whose place it
 * takes. A guest that writes for ever fills no disk; where the disk is full all the same, its output is lost and it goes on.
 */
final class ConsoleLog extends OutputStream {
    private static final long FULL = 1 << 20;

    private final Path file;
    private OutputStream stream;
    private long size;

    ConsoleLog(Path file) throws IOException {
        this.file = file;
        stream = Files.newOutputStream(file);
    }

    @Override
    public void write(int value) {
        write(new byte[] {(byte) value}, 0, 1);
    }

    @Override
    public synchronized void write(byte[] bytes, int from, int length) {
        try {
            if (size >= FULL) {
                stream.close();
                Files.move(
                        file,
                        file.resolveSibling(file.getFileName() + ".1"),
                        StandardCopyOption.REPLACE_EXISTING,
                        StandardCopyOption.ATOMIC_MOVE);
                stream = Files.newOutputStream(file);
                size = 0;
            }
            stream.write(bytes, from, length);
            size += length;
        } catch (IOException e) {
            // The guest must not stand still because its log cannot be written.
            size = FULL;
        }
    }

    @Override
    public synchronized void close() throws IOException {
        stream.close();
    }
}
