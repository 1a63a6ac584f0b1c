package org.torte.hypervisor.shared;

/**
 * What the interrupt command register, a redirection entry of the IOAPIC and a message-signalled interrupt have in
 * common (Intel SDM vol. 3, sections 12.6.1 and 12.11).
 *
 * @param vector 0 to 255
 * @param mode one of the delivery modes below
 * @param logical whether the destination is a set of logical ids instead of one physical id
 * @param destination 8 bits from wires, messages and xAPICs, 32 bits from x2APICs
 * @param wide whether the destination has 32 bits
 * @param level level-triggered, so that an EOI is broadcast to the IOAPIC
 */
public record InterruptMessage(int vector, int mode, boolean logical, int destination, boolean wide, boolean level) {
    /** Delivery modes. */
    public static final int FIXED = 0,
            LOWEST_PRIORITY = 1,
            SMI = 2,
            REMOTE_READ = 3,
            NMI = 4,
            INIT = 5,
            STARTUP = 6,
            EXTINT = 7;

    /** The physical destination of messages that address every processor. */
    public int broadcast() {
        return wide ? -1 : 0xff;
    }
}
