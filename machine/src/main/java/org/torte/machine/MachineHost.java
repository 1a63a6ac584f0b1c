package org.torte.machine;

import java.util.function.Function;
import org.torte.base.Clock;
import org.torte.base.RandomSource;
import org.torte.base.TimerDriver;
import org.torte.base.TimerThread;
import org.torte.hypervisor.Hypervisor;

/**
 * What a machine runs on.
 *
 * @param hypervisor the back-end
 * @param clock where its time comes from; the machine stops its own time while it is paused
 * @param timers makes the timers of the machine on the machine's clock; the machine closes them
 * @param random where its randomness comes from
 * @param listener who is told what happens
 */
public record MachineHost(
        Hypervisor hypervisor,
        Clock clock,
        Function<Clock, TimerDriver> timers,
        RandomSource random,
        MachineListener listener) {
    /** The host's own clock, timers and randomness. */
    public static MachineHost of(Hypervisor hypervisor, MachineListener listener) {
        return new MachineHost(
                hypervisor,
                Clock.system(),
                clock -> new TimerThread(clock, "torte-timers"),
                RandomSource.secure(),
                listener);
    }
}
