package org.torte.machine.vmbus;

import org.torte.machine.chipset.Device;

/**
 * A device on the VMBus. The bus calls {@link #open}, {@link #serve} and {@link #close} of one channel never at the same
 * time, and never while the machine stands; calls for different channels of the same device may overlap.
 *
 * <p>After {@link #stop} the device sends nothing and has nothing under way in guest memory; what was under way is
 * finished or kept in its state. On a reset its channels have been closed before {@link #reset}. On a restore
 * {@link #open} is called for every channel that was open and then {@link #restore}; {@code serve} follows when the
 * machine runs.
 */
public interface VmbusDevice extends Device {
    /** What the guest is told; always the same. */
    ChannelOffer offer();

    /**
     * The guest opens a channel. Nothing may be sent yet; {@link #serve} follows at once. Called with the bus locked:
     * short, and without calls to the bus.
     */
    void open(Channel channel);

    /**
     * There may be packets to read, or room for those that could not be sent. Called on a thread of the bus, and may
     * block; must not call {@link Vmbus}.
     *
     * @return whether {@link Channel#receive} has said that there are no more packets. Otherwise the next call comes
     *     when {@link Channel#schedule} is called, or when there is room again after a failed {@code send}
     */
    boolean serve(Channel channel);

    /**
     * The guest closes a channel, or the bus does. On return the device neither uses the channel nor guest memory that
     * its packets named; it may wait for requests that are under way. Called with the bus locked.
     */
    void close(Channel channel);
}
