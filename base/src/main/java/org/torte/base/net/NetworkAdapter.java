package org.torte.base.net;

/**
 * A machine's adapter as the network sees it. What applies to all calls stands in the package's description.
 */
public interface NetworkAdapter {
    /** Its address: where the network sends what is for it. The guest may use others, as bridges do. */
    MacAddress address();

    /**
     * Takes frames, in order.
     *
     * @param frames only read, and used no more after the return
     * @param first the first one to take; those before it are none of its business
     * @return how many it has taken, or dropped because the guest does not want them, from {@code first} on. When it
     *     is fewer than there are, {@link NetworkPort#roomAvailable} follows
     */
    int receive(FrameBatch frames, int first);

    /** The port's {@link NetworkPort#link} is another one now. Called after the change, perhaps once for several. */
    void linkChanged();

    /** The port takes frames again after {@link NetworkPort#send} took fewer than there were. May come needlessly. */
    void roomAvailable();
}
