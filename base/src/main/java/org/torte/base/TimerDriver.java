package org.torte.base;

/** Timers with what makes them fire. */
public interface TimerDriver extends Timers, AutoCloseable {
    /** Lets due timers fire. New drivers are paused. */
    void resume();

    /** Keeps timers from firing; on return no callback is running, unless a callback itself has called this. */
    void pause();

    /** Ends it for good; no callback begins after this. */
    @Override
    void close();
}
