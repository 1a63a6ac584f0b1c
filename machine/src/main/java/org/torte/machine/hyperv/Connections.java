package org.torte.machine.hyperv;

/**
 * What guests reach by HvCallPostMessage and HvCallSignalEvent. Called on the thread of the processor that made the call,
 * by several at once, with no lock held.
 */
public interface Connections {
    /** Nothing is connected. */
    Connections NONE = new Connections() {
        @Override
        public HypercallStatus post(int connection, int type, byte[] payload) {
            return HypercallStatus.INVALID_CONNECTION_ID;
        }

        @Override
        public HypercallStatus signal(int connection, int flag) {
            return HypercallStatus.INVALID_CONNECTION_ID;
        }
    };

    /**
     * A message from the guest.
     *
     * @param connection the port's number, 24 bits
     * @param type as the guest gave it; never 0
     * @param payload 0 to 240 bytes, for the callee to keep
     */
    HypercallStatus post(int connection, int type, byte[] payload);

    /**
     * An event from the guest.
     *
     * @param connection the port's number, 24 bits
     * @param flag 0 to 65535
     */
    HypercallStatus signal(int connection, int flag);
}
