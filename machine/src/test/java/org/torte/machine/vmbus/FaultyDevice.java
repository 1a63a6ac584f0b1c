package org.torte.machine.vmbus;

import java.util.UUID;
import java.util.function.BiConsumer;
import org.torte.base.StateInput;
import org.torte.base.StateOutput;

/** Throws when it is to serve. */
record FaultyDevice(RuntimeException fault) implements VmbusDevice {
    @Override
    public String name() {
        return "faulty";
    }

    @Override
    public ChannelOffer offer() {
        return new ChannelOffer(new UUID(1, 1), new UUID(1, 2), false);
    }

    @Override
    public void open(Channel channel) {}

    @Override
    public boolean serve(Channel channel) {
        throw fault;
    }

    @Override
    public void close(Channel channel) {}

    @Override
    public void reset() {}

    @Override
    public int stateVersion() {
        return 1;
    }

    @Override
    public void save(StateOutput state) {}

    @Override
    public void restore(StateInput state) {}

    @Override
    public void inspect(BiConsumer<String, Object> sink) {}
}
