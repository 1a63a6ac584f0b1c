package org.torte.disk;

import java.util.List;

/**
 * What the checker found in an image.
 *
 * @param image the path
 * @param format what it was checked as
 * @param findings everything that is wrong or odd, in the order of the file; limited to {@link #MAXIMUM_FINDINGS}
 * @param allocatedBlocks blocks with space in the file
 * @param totalBlocks blocks of the disk
 * @param leakedBytes bytes of the file that nothing refers to
 */
public record CheckReport(
        String image,
        DiskFormat format,
        List<Finding> findings,
        long allocatedBlocks,
        long totalBlocks,
        long leakedBytes) {
    /** The most findings that one report lists. */
    public static final int MAXIMUM_FINDINGS = 1000;

    /** Copies the list. */
    public CheckReport {
        findings = List.copyOf(findings);
    }

    /** How bad a finding is. */
    public enum Severity {
        /** The content of the disk is lost or in danger, or the specification forbids it. */
        ERROR,
        /** Space that nothing uses; harmless. */
        LEAK,
        /** Odd but harmless, such as a log that waits for its replay. */
        NOTE
    }

    /**
     * One thing the checker found.
     *
     * @param severity how bad it is
     * @param code a stable name for programs, such as {@code bat.overlap}
     * @param offset where in the file, or -1
     * @param message what is wrong, for people
     * @param repair what a repair does about it, or did; empty when it cannot be repaired safely
     * @param repaired whether that was done
     */
    public record Finding(
            Severity severity, String code, long offset, String message, String repair, boolean repaired) {}

    /** What is wrong with an image, in one word. */
    public enum Verdict {
        /** No error is left. */
        SOUND,
        /** The image itself is sound, but its parent is missing, was changed, or cannot be opened. */
        PARENT,
        /** The image itself has errors. */
        DAMAGED
    }

    /** What is wrong, in one word: errors of the link to the parent have codes that begin with {@code parent.}. */
    public Verdict verdict() {
        if (sound()) {
            return Verdict.SOUND;
        }
        return findings.stream()
                        .filter(f -> f.severity() == Severity.ERROR && !f.repaired())
                        .allMatch(f -> f.code().startsWith("parent."))
                ? Verdict.PARENT
                : Verdict.DAMAGED;
    }

    /** Whether no error is left: there was none, or all were repaired. */
    public boolean sound() {
        return findings.stream().allMatch(f -> f.severity() != Severity.ERROR || f.repaired());
    }
}
