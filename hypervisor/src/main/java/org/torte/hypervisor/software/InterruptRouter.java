package org.torte.hypervisor.software;

import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.torte.hypervisor.shared.InterruptMessage;
import org.torte.hypervisor.shared.IoApic;

/**
 * Carries interrupt messages to the local APICs they address (Intel SDM vol. 3, section 12.6.2) and their end-of-interrupt
 * messages to the IOAPIC. Without state of its own but for a turn counter; safe for several threads.
 */
final class InterruptRouter implements IoApic.Output {
    private final AtomicInteger turn = new AtomicInteger();
    private final IoApic ioApic = new IoApic(this);
    private List<LocalApic> apics = List.of();

    /** Connects the local APICs, once, before any processor runs. */
    void connect(List<LocalApic> all) {
        apics = List.copyOf(all);
    }

    IoApic ioApic() {
        return ioApic;
    }

    /**
     * Delivers to every processor that the message addresses, or to one of them in lowest-priority mode.
     *
     * @return whether any processor took it
     */
    @Override
    public boolean deliver(InterruptMessage message) {
        if (message.mode() == InterruptMessage.LOWEST_PRIORITY) {
            return deliverToLowestPriority(message);
        }
        boolean taken = false;
        for (LocalApic apic : apics) {
            if (apic.matches(message)) {
                taken |= apic.accept(message);
            }
        }
        return taken;
    }

    /** Delivers to every processor but {@code sender}. */
    void deliverToOthers(LocalApic sender, InterruptMessage message) {
        for (LocalApic apic : apics) {
            if (apic != sender) {
                apic.accept(message);
            }
        }
    }

    /** The lowest priority wins; equals take turns, so that devices do not load one processor with everything. */
    private boolean deliverToLowestPriority(InterruptMessage message) {
        int count = apics.size();
        int first = Math.floorMod(turn.getAndIncrement(), Math.max(count, 1));
        LocalApic best = null;
        int bestPriority = Integer.MAX_VALUE;
        for (int i = 0; i < count; i++) {
            LocalApic apic = apics.get((first + i) % count);
            if (apic.matches(message) && apic.softwareEnabled()) {
                int priority = apic.processorPriority();
                if (priority < bestPriority) {
                    bestPriority = priority;
                    best = apic;
                }
            }
        }
        return best != null && best.accept(message);
    }

    /**
     * A message-signalled interrupt (Intel SDM vol. 3, section 12.11).
     *
     * @param address 0xFEExxxxx; the destination is in bits 12 to 19, the redirection hint in 3, logical mode in 2
     * @param data vector in bits 0 to 7, delivery mode in 8 to 10, level-triggered in 15, asserted in 14
     */
    void signalMessage(long address, int data) {
        int mode = data >> 8 & 7;
        boolean level = (data & 0x8000) != 0;
        if (level && (data & 0x4000) == 0) {
            return; // de-assertion of a level: local APICs ignore it
        }
        boolean logical = (address & 4) != 0;
        if (mode == InterruptMessage.FIXED && logical && (address & 8) != 0) {
            mode = InterruptMessage.LOWEST_PRIORITY;
        }
        deliver(new InterruptMessage(data & 0xff, mode, logical, (int) (address >> 12) & 0xff, false, level));
    }

    /** A local APIC has finished a level-triggered interrupt. */
    void broadcastEndOfInterrupt(int vector) {
        ioApic.endOfInterrupt(vector);
    }
}
