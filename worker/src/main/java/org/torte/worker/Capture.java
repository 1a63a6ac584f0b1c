package org.torte.worker;

import java.io.IOException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Path;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.function.LongSupplier;
import org.torte.network.capture.PcapngFile;

/** What goes through a network adapter is being written into a file. */
public final class Capture {
    /** The most bytes of each frame that can be kept. */
    public static final int MAX_LENGTH = PcapngFile.MAX_LENGTH;

    /**
     * How far it has come.
     *
     * @param file a pcapng file
     * @param frames that are in it, or will be at its end
     * @param dropped frames for which there was no room, because the file's disk was too slow or has failed
     * @param failure why nothing more is written, or nothing
     */
    public record Result(Path file, long frames, long dropped, Optional<String> failure) {}

    private final Path file;
    private final PcapngFile frames;

    private Capture(Path file, PcapngFile frames) {
        this.file = file;
        this.frames = frames;
    }

    static Capture start(Path file, String name, int length) {
        // The wall clock at the start, and the other clock from there: time that does not jump.
        long start = TimeUnit.MILLISECONDS.toNanos(System.currentTimeMillis()) - System.nanoTime();
        LongSupplier time = () -> start + System.nanoTime();
        try {
            return new Capture(file, PcapngFile.create(file, name, length, time));
        } catch (FileAlreadyExistsException _) {
            throw new InputException(file + " is there already; give another name for the capture");
        } catch (IOException e) {
            throw new InputException("the capture " + file + " cannot be made (" + HostError.cause(e)
                    + "); give a path where there is room and permission to write");
        }
    }

    Path file() {
        return file;
    }

    PcapngFile frames() {
        return frames;
    }

    Result now() {
        return new Result(file, frames.frames(), frames.dropped(), frames.failure());
    }

    Result close() {
        frames.close();
        return now();
    }
}
