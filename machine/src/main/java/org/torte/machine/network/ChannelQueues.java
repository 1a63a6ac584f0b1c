package org.torte.machine.network;

import org.jspecify.annotations.Nullable;
import org.torte.base.StateInput;
import org.torte.base.StateOutput;
import org.torte.machine.vmbus.Channel;
import org.torte.machine.vmbus.Packet;

/** The channels of an adapter that the guest has open, by number: 0 is the one that is always there. Not for several threads. */
final class ChannelQueues {
    /** The most channels of an adapter. */
    static final int MAX = 16;

    /** An answer that found no room in the ring. */
    @SuppressWarnings("ArrayRecordComponent") // never compared
    private record Answer(long transaction, byte[] bytes) {}

    /** One channel. */
    static final class Queue {
        final Channel channel;
        private @Nullable Answer unsent;
        private boolean written;
        /** It was to be served while another one was, on the same thread. */
        boolean wantsTurn;

        private Queue(Channel channel) {
            this.channel = channel;
        }

        int number() {
            return channel.subchannel();
        }

        /** Whether an answer waits for room, before which no packet is looked at. */
        boolean isFull() {
            return unsent != null;
        }

        /** Sends the answer that waits, if there is one; false when it still has to. */
        boolean sendUnsent() {
            Answer answer = unsent;
            if (answer != null) {
                if (!channel.sendCompletion(answer.transaction, answer.bytes, answer.bytes.length)) {
                    return false;
                }
                written = true;
                unsent = null;
            }
            return true;
        }

        /** Answers a packet; what finds no room is sent before the next packet is looked at. */
        void complete(Packet packet, byte[] message) {
            if (!packet.wantsCompletion()) {
                return;
            }
            written = true;
            if (!channel.sendCompletion(packet.transaction(), message, message.length)) {
                unsent = new Answer(packet.transaction(), message);
            }
        }

        /** Sends a message that nobody answers; false when there is no room. */
        boolean sendInBand(byte[] message) {
            boolean sent = channel.sendInBand(0, false, message, message.length);
            written |= sent;
            return sent;
        }

        /** Sends places of the guest's receive buffer; false when there is no room. */
        boolean sendPlaces(long transaction, byte[] descriptor, int descriptorLength, byte[] message) {
            boolean sent = channel.send(
                    Packet.TRANSFER_PAGES, true, transaction, descriptor, descriptorLength, message, Nvsp.RNDIS_LENGTH);
            written |= sent;
            return sent;
        }
    }

    private final @Nullable Queue[] queues = new Queue[MAX];
    private int count;

    /** How many are open. */
    int count() {
        return count;
    }

    /** One that is open; null for any other number. */
    @Nullable
    Queue get(int number) {
        return number >= 0 && number < MAX ? queues[number] : null;
    }

    void add(Channel channel) {
        if (channel.subchannel() < MAX && queues[channel.subchannel()] == null) {
            queues[channel.subchannel()] = new Queue(channel);
            count++;
        }
    }

    void remove(Channel channel) {
        Queue queue = get(channel.subchannel());
        if (queue != null && queue.channel.equals(channel)) {
            queues[channel.subchannel()] = null;
            count--;
        }
    }

    /** Shows the guest what was written to others than the one that was served, for which the bus does that. */
    void finish(Queue served) {
        for (Queue queue : queues) {
            if (queue != null && queue.written) {
                queue.written = false;
                if (!queue.equals(served)) {
                    queue.channel.flush();
                }
            }
        }
        for (Queue queue : queues) {
            if (queue != null && queue.wantsTurn) {
                queue.wantsTurn = false;
                queue.channel.schedule();
            }
        }
    }

    /** Writes the answers that wait. */
    void save(StateOutput state) {
        int waiting = 0;
        for (Queue queue : queues) {
            waiting += queue != null && queue.unsent != null ? 1 : 0;
        }
        state.putInt(waiting);
        for (Queue queue : queues) {
            if (queue != null && queue.unsent != null) {
                state.putInt(queue.number()).putLong(queue.unsent.transaction).putBytes(queue.unsent.bytes);
            }
        }
    }

    /** Reads what {@link #save} wrote, for channels that are open; version 1 knew one only. */
    void restore(StateInput state) {
        int waiting = state.version() == 1 ? state.getBoolean() ? 1 : 0 : state.getInt();
        state.check(waiting >= 0 && waiting <= MAX, waiting + " answers wait");
        for (int i = 0; i < waiting; i++) {
            int number = state.version() == 1 ? 0 : state.getInt();
            Answer answer = new Answer(state.getLong(), state.getBytes());
            state.check(answer.bytes.length <= Nvsp.LENGTH, "an answer of " + answer.bytes.length + " bytes");
            Queue queue = get(number);
            state.check(queue != null, "an answer for channel " + number);
            if (queue != null) {
                queue.unsent = answer;
            }
        }
    }
}
