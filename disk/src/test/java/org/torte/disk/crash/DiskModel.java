package org.torte.disk.crash;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What a disk may hold after a crash: for each sector the versions that were written, when each was begun, and when a
 * flush that covers it returned, counted in operations of the recorder. A version is a tag that fills the sector, 0 for
 * zeros.
 */
public final class DiskModel {
    /** One thing a sector was set to. A trim leaves open whether the sector is zero or as before. */
    private static final class Version {
        final long tag;
        final int begun;
        final boolean trim;
        int flushed = Integer.MAX_VALUE;

        Version(long tag, int begun, boolean trim) {
            this.tag = tag;
            this.begun = begun;
            this.trim = trim;
        }

        @Override
        public String toString() {
            return Long.toHexString(tag) + (trim ? " by trim" : "") + " begun " + begun + " flushed " + flushed;
        }
    }

    private final int sectorSize;
    /** By sector; null where nothing was set. */
    private final List<@Nullable List<Version>> sectors = new ArrayList<>();

    private final List<Version> unflushed = new ArrayList<>();
    private long[] base = {};

    public DiskModel(int sectorSize) {
        this.sectorSize = sectorSize;
    }

    /** A sector that holds a tag from the start, in a parent. */
    public void base(long sector, long tag) {
        int index = Math.toIntExact(sector);
        if (index >= base.length) {
            base = Arrays.copyOf(base, 2 * index + 1024);
        }
        base[index] = tag;
    }

    private long base(int sector) {
        return sector < base.length ? base[sector] : 0;
    }

    private @Nullable List<Version> versions(int sector) {
        return sector < sectors.size() ? sectors.get(sector) : null;
    }

    public void set(long sector, long tag, int now, boolean trim) {
        Version version = new Version(tag, now, trim);
        while (sectors.size() <= sector) {
            sectors.add(null);
        }
        List<Version> versions = sectors.get((int) sector);
        if (versions == null) {
            versions = new ArrayList<>(4);
            sectors.set((int) sector, versions);
        }
        versions.add(version);
        unflushed.add(version);
    }

    /** How many changes wait for a flush. */
    public int pending() {
        return unflushed.size();
    }

    /** The changes after the first {@code pending} failed: they may have happened in part, and no flush covers them. */
    public void failed(int pending) {
        unflushed.subList(pending, unflushed.size()).clear();
    }

    /** A flush was issued when all that was set so far had returned; it returned at {@code now}. */
    public void flushed(int now) {
        unflushed.forEach(v -> v.flushed = now);
        unflushed.clear();
    }

    /** The tag of a sector's content, or -1 when it is no single tag. */
    public static long tagOf(byte[] content, int at, int length) {
        java.nio.ByteBuffer buffer = java.nio.ByteBuffer.wrap(content);
        long tag = buffer.getLong(at);
        for (int i = 8; i < length; i += 8) {
            if (buffer.getLong(at + i) != tag) {
                return -1;
            }
        }
        return tag;
    }

    public static void fill(byte[] content, int at, int length, long tag) {
        java.nio.ByteBuffer buffer = java.nio.ByteBuffer.wrap(content);
        for (int i = 0; i < length; i += 8) {
            buffer.putLong(at + i, tag);
        }
    }

    /** What is wrong with a content that was found after a crash before operation {@code before}, or nothing. */
    public List<String> check(byte[] content, int before) {
        List<String> wrong = new ArrayList<>();
        for (int sector = 0; sector < content.length / sectorSize; sector++) {
            List<Version> versions = versions(sector);
            long initial = base(sector);
            int at = sector * sectorSize;
            // The host may tear writes at 512 bytes, even where the disk's sectors are larger.
            for (int part = 0; part < sectorSize; part += 512) {
                long tag = tagOf(content, at + part, 512);
                boolean fine = versions == null ? tag == initial : allowed(versions, initial, tag, before);
                if (!fine && wrong.size() < 20) {
                    wrong.add("sector " + sector + " holds " + Long.toHexString(tag) + " of " + versions);
                }
            }
        }
        return wrong;
    }

    private static boolean allowed(List<Version> versions, long initial, long tag, int before) {
        for (int i = versions.size() - 1; i >= 0; i--) {
            Version version = versions.get(i);
            if (version.begun > before) {
                continue;
            }
            if (version.tag == tag) {
                return true;
            }
            if (version.flushed <= before && !version.trim) {
                return false;
            }
        }
        return initial == tag;
    }

    /** What a sector must hold when nothing crashed, unless it was trimmed. */
    public byte[] newest(long size) {
        byte[] content = new byte[(int) size];
        for (int sector = 0; sector < size / sectorSize; sector++) {
            List<Version> versions = versions(sector);
            long tag = versions == null ? base(sector) : versions.getLast().tag;
            fill(content, sector * sectorSize, sectorSize, tag);
        }
        return content;
    }
}
