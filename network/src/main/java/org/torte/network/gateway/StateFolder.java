package org.torte.network.gateway;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.Optional;

/**
 * The folder with what a network must remember: text files, one line per fact, the first line saying what it is. A file is
 * replaced as a whole and is durable on return, so a crash leaves the old one or the new one.
 */
final class StateFolder {
    private final Path folder;

    StateFolder(Path folder) throws IOException {
        this.folder = Files.createDirectories(folder);
    }

    Path file(String name) {
        return folder.resolve(name);
    }

    /**
     * Its lines after the first, or nothing when there is no such file.
     *
     * @throws IOException when it is there and cannot be read, or begins with another line
     */
    Optional<List<String>> read(String name, String firstLine) throws IOException {
        try {
            List<String> lines = Files.readAllLines(folder.resolve(name));
            if (lines.isEmpty() || !lines.getFirst().equals(firstLine)) {
                throw new IOException(folder.resolve(name) + " does not begin with '" + firstLine
                        + "': it is another version's, or damaged; move it away to start afresh");
            }
            return Optional.of(lines.subList(1, lines.size()));
        } catch (NoSuchFileException e) {
            return Optional.empty();
        }
    }

    void write(String name, String firstLine, List<String> lines) throws IOException {
        Path fresh = folder.resolve(name + ".new");
        String text = firstLine + "\n"
                + String.join("", lines.stream().map(line -> line + "\n").toList());
        try (FileChannel channel = FileChannel.open(
                fresh, StandardOpenOption.CREATE, StandardOpenOption.TRUNCATE_EXISTING, StandardOpenOption.WRITE)) {
            ByteBuffer bytes = ByteBuffer.wrap(text.getBytes(StandardCharsets.UTF_8));
            while (bytes.hasRemaining()) {
                channel.write(bytes);
            }
            channel.force(true);
        }
        Files.move(fresh, folder.resolve(name), StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        try (FileChannel directory = FileChannel.open(folder, StandardOpenOption.READ)) {
            directory.force(true);
        }
    }
}
