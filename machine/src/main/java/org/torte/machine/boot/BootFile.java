package org.torte.machine.boot;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import org.torte.machine.filesystem.DamagedException;
import org.torte.machine.filesystem.Ext4File;

/** A kernel or what is loaded beside it: a file of the host, or one on a disk of the machine. */
sealed interface BootFile {
    /** What users know it as. */
    String name();

    /** Its last name, without the folders. */
    String shortName();

    /**
     * Opens it.
     *
     * @param role what it is to the user, such as {@code kernel}
     * @param limit the most bytes that make sense, usually the guest's RAM
     * @throws BootException when it cannot be opened, or is empty or larger than that
     */
    Content open(String role, long limit);

    /** An open file of a known size. */
    interface Content extends AutoCloseable {
        /** Bytes, at least 1. */
        long size();

        /** Reads all of it to the beginning of {@code target}, which is large enough. */
        void readTo(MemorySegment target);

        @Override
        void close();
    }

    private static void requireSize(String name, String role, long size, long limit) {
        if (size == 0) {
            throw new BootException("the " + role + " " + name + " is empty; copy it again from where it came");
        }
        if (size > limit) {
            throw new BootException("the " + role + " " + name + " has " + size + " bytes, more than the " + limit
                    + " bytes of guest memory; give the machine more with --memory");
        }
    }

    /** A file of the host. */
    record OnHost(Path path) implements BootFile {
        private static final long CHUNK = 64 << 20;

        @Override
        public String name() {
            return path.toString();
        }

        @Override
        public String shortName() {
            return String.valueOf(path.getFileName());
        }

        @Override
        public Content open(String role, long limit) {
            try {
                if (Files.isDirectory(path)) {
                    throw new BootException(
                            "the " + role + " " + path + " is a directory; give the path of a file instead");
                }
                if (Files.exists(path) && !Files.isRegularFile(path)) {
                    throw new BootException("the " + role + " " + path
                            + " is not a regular file; copy its contents to a file and give that");
                }
                FileChannel channel = FileChannel.open(path, StandardOpenOption.READ);
                try {
                    long size = channel.size();
                    requireSize(name(), role, size, limit);
                    return new HostContent(channel, size, role);
                } catch (IOException | RuntimeException e) {
                    channel.close();
                    throw e;
                }
            } catch (IOException e) {
                throw unreadable(role, e);
            }
        }

        private BootException unreadable(String role, IOException e) {
            if (e instanceof NoSuchFileException) {
                return new BootException("there is no " + role + " " + path + "; check the path");
            }
            if (e instanceof AccessDeniedException) {
                return new BootException("the " + role + " " + path
                        + " may not be read by this user; change its permissions or copy it (sudo cat FILE > COPY)");
            }
            String cause = e.getMessage() == null ? e.getClass().getSimpleName() : e.getMessage();
            return new BootException(
                    "the " + role + " " + path + " cannot be read (" + cause + "); check the file system");
        }

        private final class HostContent implements Content {
            private final FileChannel channel;
            private final long size;
            private final String role;

            HostContent(FileChannel channel, long size, String role) {
                this.channel = channel;
                this.size = size;
                this.role = role;
            }

            @Override
            public long size() {
                return size;
            }

            @Override
            public void readTo(MemorySegment target) {
                try {
                    for (long at = 0; at < size; ) {
                        MemorySegment part = target.asSlice(at, Math.min(size - at, CHUNK));
                        int got = channel.read(part.asByteBuffer(), at);
                        if (got < 0) {
                            throw new BootException("the " + role + " " + path
                                    + " became shorter while it was read; start again when it is complete");
                        }
                        at += got;
                    }
                } catch (IOException e) {
                    throw unreadable(role, e);
                }
            }

            @Override
            public void close() {
                try {
                    channel.close();
                } catch (IOException e) {
                    throw unreadable(role, e);
                }
            }
        }
    }

    /**
     * A file on a disk of the machine.
     *
     * @param file the file
     * @param disk what users know the disk as
     */
    record OnDisk(Ext4File file, String disk) implements BootFile {
        @Override
        public String name() {
            return file.path() + " on " + disk;
        }

        @Override
        public String shortName() {
            return file.path().substring(file.path().lastIndexOf('/') + 1);
        }

        @Override
        public Content open(String role, long limit) {
            requireSize(name(), role, file.size(), limit);
            return new Content() {
                @Override
                public long size() {
                    return file.size();
                }

                @Override
                public void readTo(MemorySegment target) {
                    try {
                        file.read(0, target.asSlice(0, file.size()));
                    } catch (DamagedException e) {
                        throw new BootException("the " + role + " " + name() + " cannot be read (" + e.getMessage()
                                + "); check the guest's file system");
                    }
                }

                @Override
                public void close() {}
            };
        }
    }
}
