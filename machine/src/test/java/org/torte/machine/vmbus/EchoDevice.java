package org.torte.machine.vmbus;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import java.util.function.BiConsumer;
import org.torte.base.StateInput;
import org.torte.base.StateOutput;

/** Answers every packet with its own data. */
final class EchoDevice implements VmbusDevice {
    final List<String> events = new ArrayList<>();
    private final String name;
    private final ArrayDeque<byte[]> unsent = new ArrayDeque<>();
    private final ArrayDeque<Long> unsentTransactions = new ArrayDeque<>();

    EchoDevice(String name) {
        this.name = name;
    }

    @Override
    public String name() {
        return name;
    }

    @Override
    public ChannelOffer offer() {
        return new ChannelOffer(
                UUID.fromString("00112233-4455-6677-8899-aabbccddeeff"),
                UUID.nameUUIDFromBytes(name.getBytes(java.nio.charset.StandardCharsets.UTF_8)),
                true);
    }

    @Override
    public void open(Channel channel) {
        events.add("open");
    }

    @Override
    public boolean serve(Channel channel) {
        while (!unsent.isEmpty()) {
            if (!channel.sendCompletion(unsentTransactions.element(), unsent.element(), unsent.element().length)) {
                return false;
            }
            unsent.remove();
            unsentTransactions.remove();
        }
        for (Packet packet = channel.receive(); packet != null; packet = channel.receive()) {
            byte[] data = new byte[packet.data().remaining()];
            packet.data().get(data);
            if (!channel.sendCompletion(packet.transaction(), data, data.length)) {
                unsent.add(data);
                unsentTransactions.add(packet.transaction());
                return false;
            }
        }
        return true;
    }

    @Override
    public void close(Channel channel) {
        events.add("close");
        unsent.clear();
        unsentTransactions.clear();
    }

    @Override
    public void reset() {
        events.add("reset");
    }

    @Override
    public int stateVersion() {
        return 1;
    }

    @Override
    public void save(StateOutput state) {
        state.putInt(unsent.size());
    }

    @Override
    public void restore(StateInput state) {
        state.getInt();
    }

    @Override
    public void inspect(BiConsumer<String, Object> sink) {}
}
