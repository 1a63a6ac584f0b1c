package org.torte.machine.vmbus;

import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.BiConsumer;
import org.jspecify.annotations.Nullable;
import org.torte.base.GuestMemory;
import org.torte.base.StateInput;
import org.torte.base.StateOutput;

/**
 * An open channel as its device sees it. {@link #receive} belongs to {@link VmbusDevice#serve}; everything else may be
 * called by any thread until {@link VmbusDevice#close} returns.
 */
public final class Channel {
    private static final byte[] NOTHING = {};

    /** What the guest said when it opened the channel. */
    @SuppressWarnings("ArrayRecordComponent") // never compared
    record Opening(int openId, int ringGpadl, int targetProcessor, int downstreamPage, byte[] userData) {}

    /** How a channel reaches the bus, which locks itself. */
    interface Bus {
        void interrupt(int channel, int processor);

        @Nullable
        GuestRange gpadl(int channel, int handle);
    }

    private final BusHost host;
    private final Bus bus;
    private final VmbusDevice device;
    private final int id;
    private final int subchannel;
    private final Opening opening;
    private final Ring incoming;
    private final Packet packet = new Packet();
    private volatile int targetProcessor;

    /** Orders everything that is sent. */
    private final ReentrantLock sending = new ReentrantLock();

    private final Ring outgoing;
    /** A packet found no room since the last call of serve. */
    private boolean full;

    /** Guards what follows. */
    private final ReentrantLock turns = new ReentrantLock();

    private final Condition stands = turns.newCondition();
    private boolean wanted;
    private boolean working;
    private int pauses = 1;
    private boolean closed;

    Channel(BusHost host, Bus bus, VmbusDevice device, int id, int subchannel, Opening opening, GuestRange memory) {
        this.host = host;
        this.bus = bus;
        this.device = device;
        this.id = id;
        this.subchannel = subchannel;
        this.opening = opening;
        targetProcessor = opening.targetProcessor;
        int pages = memory.pageCount();
        incoming = new Ring(host, memory.tail(0, opening.downstreamPage), true);
        outgoing = new Ring(host, memory.tail(opening.downstreamPage, pages - opening.downstreamPage), false);
    }

    // ---- for devices

    /** 0 for the channel that was offered first, otherwise the number of the sub-channel. */
    public int subchannel() {
        return subchannel;
    }

    /** The 120 bytes that the guest passed when it opened the channel. */
    public byte[] userData() {
        return opening.userData.clone();
    }

    /** The processor that is interrupted for this channel. */
    public int targetProcessor() {
        return targetProcessor;
    }

    /** The guest's RAM and what else devices need. */
    public BusHost host() {
        return host;
    }

    /** The most bytes of data in one packet that its ring can ever hold, besides what the packet's type adds. */
    public int largestData() {
        return outgoing.largestData();
    }

    /** The next packet from the guest, valid until the next call; null when there is none. Only inside {@code serve}. */
    public @Nullable Packet receive() {
        return incoming.receive(packet);
    }

    /**
     * A buffer that the guest has given to this channel's device by handle; null when there is none. The guest may take
     * it back at any time between two calls of {@code serve}, so it is asked for anew in each.
     */
    public @Nullable GuestRange gpadl(int handle) {
        return bus.gpadl(id, handle);
    }

    /**
     * Sends data in the packet itself.
     *
     * @param transaction comes back with the completion
     * @param wantsCompletion whether the guest has to answer
     * @param length how many bytes of {@code data}; the guest sees them filled up with zeroes to a multiple of 8
     * @return false when there is no room: {@code serve} is called when there is
     */
    public boolean sendInBand(long transaction, boolean wantsCompletion, byte[] data, int length) {
        return send(Packet.IN_BAND, wantsCompletion, transaction, NOTHING, 0, data, length);
    }

    /** Answers a packet that wanted a completion; otherwise as {@link #sendInBand}. */
    public boolean sendCompletion(long transaction, byte[] data, int length) {
        return send(Packet.COMPLETION, false, transaction, NOTHING, 0, data, length);
    }

    /**
     * Sends a packet of any type.
     *
     * @param descriptor what the type adds to the header
     * @param descriptorLength how many bytes of it, a multiple of 8
     */
    public boolean send(
            int type,
            boolean wantsCompletion,
            long transaction,
            byte[] descriptor,
            int descriptorLength,
            byte[] data,
            int length) {
        sending.lock();
        try {
            boolean sent = outgoing.send(
                    type,
                    wantsCompletion ? Packet.FLAG_COMPLETION : 0,
                    transaction,
                    descriptor,
                    descriptorLength,
                    data,
                    length);
            full |= !sent;
            return sent;
        } finally {
            sending.unlock();
        }
    }

    /** Makes visible what was sent, and interrupts the guest if it needs that. The bus calls it after {@code serve}. */
    public void flush() {
        boolean room;
        sending.lock();
        try {
            if (outgoing.publishSent()) {
                bus.interrupt(id, targetProcessor);
            }
            room = full && outgoing.roomForWaiting();
        } finally {
            sending.unlock();
        }
        if (room) {
            schedule();
        }
    }

    /** Has {@link VmbusDevice#serve} called soon. */
    public void schedule() {
        turns.lock();
        try {
            wanted = true;
            begin();
        } finally {
            turns.unlock();
        }
    }

    // ---- for the bus

    int id() {
        return id;
    }

    Opening opening() {
        return opening;
    }

    void setTargetProcessor(int processor) {
        targetProcessor = processor;
    }

    /** The caller holds {@link #turns}. */
    private void begin() {
        if (wanted && !working && pauses == 0 && !closed) {
            working = true;
            host.executor().execute(this::work);
        }
    }

    private boolean nextTurn() {
        turns.lock();
        try {
            if (wanted && pauses == 0 && !closed) {
                wanted = false;
                return true;
            }
            working = false;
            stands.signalAll();
            return false;
        } finally {
            turns.unlock();
        }
    }

    private void work() {
        Throwable error = null;
        while (nextTurn()) {
            try {
                serveOnce();
            } catch (RuntimeException | Error e) {
                // What a guest does never gets here. The channel stands before anybody is told.
                error = e;
                end();
            }
        }
        if (error != null) {
            host.failed().accept(error);
        }
    }

    private void serveOnce() {
        incoming.setMask(true);
        stopWaiting();
        boolean drained = device.serve(this);
        flush();
        if (incoming.publishReceived()) {
            bus.interrupt(id, targetProcessor);
        }
        if (drained) {
            incoming.setMask(false);
            if (incoming.hasMore()) {
                schedule();
            }
        }
    }

    private void stopWaiting() {
        sending.lock();
        try {
            if (full) {
                full = false;
                outgoing.stopWaiting();
            }
        } finally {
            sending.unlock();
        }
    }

    private void end() {
        turns.lock();
        try {
            closed = true;
        } finally {
            turns.unlock();
        }
    }

    /** Keeps the device from being called; on return no call is under way. Pauses add up. */
    void pause() {
        turns.lock();
        try {
            pauses++;
            while (working) {
                stands.awaitUninterruptibly();
            }
        } finally {
            turns.unlock();
        }
    }

    /** Takes one pause back; what may have been missed is looked for. */
    void resume() {
        turns.lock();
        try {
            pauses--;
            wanted = true;
            begin();
        } finally {
            turns.unlock();
        }
    }

    /** Ends it for good. On return the device has let go of it. */
    void close() {
        turns.lock();
        try {
            closed = true;
            while (working) {
                stands.awaitUninterruptibly();
            }
        } finally {
            turns.unlock();
        }
        device.close(this);
    }

    void save(StateOutput state) {
        state.putInt(opening.openId)
                .putInt(opening.ringGpadl)
                .putInt(targetProcessor)
                .putInt(opening.downstreamPage)
                .putBytes(opening.userData)
                .putInt(incoming.index())
                .putBoolean(incoming.broken())
                .putInt(outgoing.index())
                .putBoolean(outgoing.broken());
    }

    void restoreRings(StateInput state) {
        incoming.restore(state.getInt(), state.getBoolean());
        outgoing.restore(state.getInt(), state.getBoolean());
    }

    void inspect(String prefix, BiConsumer<String, Object> sink) {
        sink.accept(prefix + ".target-processor", targetProcessor);
        sink.accept(prefix + ".broken", incoming.broken() || outgoing.broken());
    }

    /** The least pages of one direction: control and data. */
    static final int LEAST_PAGES = 2;

    /** Whether a ring buffer can be divided so. */
    static boolean divisible(GuestRange memory, int downstreamPage) {
        return memory.offset() == 0
                && memory.length() % GuestMemory.PAGE_SIZE == 0
                && downstreamPage >= LEAST_PAGES
                && downstreamPage <= memory.pageCount() - LEAST_PAGES;
    }
}
