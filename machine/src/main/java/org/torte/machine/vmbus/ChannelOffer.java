package org.torte.machine.vmbus;

import java.util.UUID;

/**
 * What a device tells the guest about itself before its channel is opened.
 *
 * @param interfaceType what kind of device it is, by which guests choose a driver
 * @param instance which one it is; stays the same as long as the machine exists
 * @param pipe whether packets begin with a pipe header, as those of the integration services do
 * @param mmioMegabytes how much device memory it needs
 */
public record ChannelOffer(UUID interfaceType, UUID instance, boolean pipe, int mmioMegabytes) {
    /** A device without device memory. */
    public ChannelOffer(UUID interfaceType, UUID instance, boolean pipe) {
        this(interfaceType, instance, pipe, 0);
    }
}
