package org.torte.machine.hyperv;

import org.torte.machine.chipset.PowerControl;

/** A power switch that nothing hangs on. */
public final class TestPower {
    /** Does nothing. */
    public static final PowerControl NONE = new PowerControl() {
        @Override
        public void reset() {}

        @Override
        public void powerOff() {}

        @Override
        public void exit(int status) {}
    };

    private TestPower() {}
}
