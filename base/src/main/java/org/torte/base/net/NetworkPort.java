package org.torte.base.net;

/**
 * What an adapter can be plugged into. What applies to all calls stands in the package's description.
 */
public interface NetworkPort extends AutoCloseable {
    /**
     * Plugs an adapter in, which is called from now on; at first with {@link NetworkAdapter#linkChanged}.
     *
     * @throws IllegalStateException when there is one already
     */
    void plug(NetworkAdapter adapter);

    /** Unplugs the adapter: on return no call to it is under way, and none follows. Does nothing when there is none. */
    void unplug();

    /** Whether and how frames travel now. */
    LinkState link();

    /**
     * Takes frames from the adapter, in order. Frames that are longer than the link's MTU allows, or shorter than an
     * Ethernet header, are dropped, and so is everything while the link is down.
     *
     * @param frames only read, and used no more after the return
     * @param first the first one to take
     * @return how many it has taken or dropped from {@code first} on. When it is fewer than there are, {@link
     *     NetworkAdapter#roomAvailable} follows
     */
    int send(FrameBatch frames, int first);

    /** The adapter takes frames again after {@link NetworkAdapter#receive} took fewer than there were. */
    void roomAvailable();

    /** What has gone through it. */
    PortStatistics statistics();

    /** Gives the port up; an adapter that is still there is unplugged first. */
    @Override
    void close();
}
