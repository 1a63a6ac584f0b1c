package org.torte.cli.vhd;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.torte.cli.output.Output;
import org.torte.disk.DiskException;
import org.torte.disk.operation.Progress;

/**
 * Runs something long: shows its progress on a terminal, and lets Ctrl-C end it in order. The process does not go before
 * the work has cleaned up behind itself.
 */
final class LongWork implements Progress {
    /** What shells report for a command that Ctrl-C ended. */
    static final int CANCELLED = 130;

    private static final long CLEANUP_SECONDS = 30;
    private static final long SHOWN_AFTER = TimeUnit.MILLISECONDS.toNanos(500);
    private static final long SHOWN_EVERY = TimeUnit.MILLISECONDS.toNanos(200);

    private final String what;
    private final boolean terminal = errorIsTerminal();
    private final long start = System.nanoTime();
    private final CountDownLatch finished = new CountDownLatch(1);
    private volatile boolean cancelled;
    private long shown = start;
    private boolean visible;

    private LongWork(String what) {
        this.what = what;
    }

    /** Asking the console would start a line editor, which takes longer than most commands. */
    private static boolean errorIsTerminal() {
        try {
            String target = Files.readSymbolicLink(Path.of("/proc/self/fd/2")).toString();
            return target.startsWith("/dev/pts/") || target.startsWith("/dev/tty");
        } catch (IOException e) {
            return false;
        }
    }

    /** Work that reports its progress. */
    interface Work {
        int run(Progress progress);
    }

    static int run(String what, Work work) {
        LongWork long_ = new LongWork(what);
        Thread hook = new Thread(long_::cancel, "cancel");
        Runtime.getRuntime().addShutdownHook(hook);
        try {
            return long_.watched(() -> work.run(long_));
        } finally {
            long_.finished.countDown();
            if (!long_.cancelled) {
                Runtime.getRuntime().removeShutdownHook(hook);
            }
        }
    }

    private int watched(Callable<Integer> work) {
        try {
            return work.call();
        } catch (DiskException e) {
            if (e.kind() != DiskException.Kind.CANCELLED) {
                throw e;
            }
            clear();
            System.err.println("torte: " + what + " was cancelled; the disks are as usable as before");
            return CANCELLED;
        } catch (RuntimeException e) {
            throw e;
        } catch (Exception e) {
            throw new IllegalStateException(e);
        } finally {
            clear();
        }
    }

    private void cancel() {
        cancelled = true;
        try {
            if (!finished.await(CLEANUP_SECONDS, TimeUnit.SECONDS)) {
                System.err.println("torte: " + what + " did not end in time");
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    @Override
    public boolean advanced(long done, long total) {
        long now = System.nanoTime();
        if (terminal && now - start > SHOWN_AFTER && now - shown > SHOWN_EVERY) {
            shown = now;
            visible = true;
            long percent = total <= 0 ? 100 : done * 100 / total;
            System.err.print(
                    "\r" + what + "  " + percent + " %  " + Output.size(done) + " of " + Output.size(total) + "   ");
            System.err.flush();
        }
        return !cancelled;
    }

    private void clear() {
        if (visible) {
            visible = false;
            System.err.print("\r" + " ".repeat(70) + "\r");
        }
    }
}
