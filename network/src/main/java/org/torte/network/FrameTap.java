package org.torte.network;

import org.torte.base.net.FrameBatch;

/** Sees copies of what goes through a port: a capture or a mirror. May be called by several threads at once. */
public interface FrameTap {
    /**
     * A frame goes through. Must not block and must not call the switch.
     *
     * @param frames only read, and used no more after the return
     * @param frame which one
     * @param sent whether the one who is plugged in sent it; else it is for him
     * @param vlan the tag that belongs to it, or {@link FrameBatch#NO_VLAN}; the bytes hold none
     */
    void frame(FrameBatch frames, int frame, boolean sent, int vlan);

    /** Some frames went through; here the switch may be called. */
    default void flush() {}
}
