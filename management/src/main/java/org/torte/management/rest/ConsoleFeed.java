package org.torte.management.rest;

import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import org.jspecify.annotations.Nullable;
import org.torte.management.Vm;
import org.torte.management.process.TerminalQueries;
import org.torte.management.process.Worker;

/**
 * The console of a machine for all who look at it: one connection with its worker, however many they are. Safe for several
 * threads; nobody who looks holds it up.
 */
final class ConsoleFeed implements Worker.ConsoleListener {
    /** So much of what was said last is for those who come later, in bytes. */
    private static final int KEPT = 64 << 10;

    private final List<ConsoleViewer> viewers = new CopyOnWriteArrayList<>();
    private byte[] last = {};
    private Worker.@Nullable Listening source;
    private boolean over;

    /**
     * Begins to listen.
     *
     * @throws org.torte.management.Problem CONFLICT when the machine has no console now
     */
    synchronized void open(Vm vm) {
        source = vm.console(this);
    }

    /** Whether nothing comes from it any more. */
    synchronized boolean isOver() {
        return over;
    }

    /** Shows the console to one more, from what was said last on; false when it is over. */
    synchronized boolean add(ConsoleViewer viewer) {
        if (over) {
            return false;
        }
        viewers.add(viewer);
        viewer.show(TerminalQueries.removed(last));
        return true;
    }

    /** Forgets one; when there is nobody left, it is over. */
    synchronized boolean remove(ConsoleViewer viewer) {
        viewers.remove(viewer);
        if (viewers.isEmpty() && !over) {
            over = true;
            if (source != null) {
                source.close();
            }
        }
        return over;
    }

    @Override
    public synchronized void said(byte[] output, boolean old) {
        int kept = Math.min(last.length, Math.max(0, KEPT - output.length));
        byte[] joined = Arrays.copyOf(Arrays.copyOfRange(last, last.length - kept, last.length), kept + output.length);
        System.arraycopy(output, 0, joined, kept, output.length);
        last = joined;
        byte[] shown = old ? TerminalQueries.removed(output) : output;
        viewers.forEach(viewer -> viewer.show(shown));
    }

    @Override
    public void ended() {
        synchronized (this) {
            over = true;
        }
        viewers.forEach(ConsoleViewer::machineEnded);
    }
}
