package org.torte.machine.network;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;
import org.torte.base.StateInput;
import org.torte.base.StateOutput;
import org.torte.base.net.LinkState;
import org.torte.base.net.MacAddress;

/**
 * What the guest has set its adapter to by RNDIS, and the answers to its questions. Not for several threads.
 */
final class RndisControl {
    private static final int DIRECTED = 1, MULTICAST = 2, ALL_MULTICAST = 4, BROADCAST = 8, PROMISCUOUS = 0x20;
    private static final int MAX_MULTICAST = 64;
    private static final int NDIS_6_30 = 30, NDIS_6_1 = 1;
    private static final int SPEED_UNIT = 100;
    private static final String ADDRESS_PARAMETER = "NetworkAddress";
    private static final int TEXT_PARAMETER = 2, PARAMETER_HEADER = 20;
    private static final int DRIVER_VERSION = 0x061e;
    private static final long GROUP = 1L << 40, ALL = 0xffff_ffff_ffffL;

    /** What its adapter knows and guests ask for. */
    interface Facts {
        LinkState link();

        /** The guest asks for the state of the link, and so knows it from now on. */
        LinkState linkAsked();

        long framesSent();

        long framesReceived();

        long sentDropped();

        long receivedDropped();

        /** How many channels the adapter may have. */
        int channels();
    }

    private final MacAddress permanent;
    private final Facts facts;

    private boolean initialized;
    private int filter;
    private long address;
    private long[] multicast = {};
    private boolean coalescing;
    private int ndisMinor;
    private final ReceiveScaling scaling = new ReceiveScaling();

    RndisControl(MacAddress permanent, Facts facts) {
        this.permanent = permanent;
        this.facts = facts;
        reset();
    }

    /** As before the guest has said anything. */
    void reset() {
        initialized = false;
        filter = 0;
        address = permanent.value();
        multicast = new long[0];
        coalescing = false;
        ndisMinor = NDIS_6_1;
        scaling.reset();
    }

    /** How frames for the guest are spread over its channels. */
    ReceiveScaling scaling() {
        return scaling;
    }

    MacAddress address() {
        return new MacAddress(address);
    }

    /** Whether the guest takes large sends whole. */
    boolean coalescing() {
        return coalescing;
    }

    boolean initialized() {
        return initialized;
    }

    void setNdisVersion(int minor) {
        ndisMinor = minor;
    }

    /** Whether the guest wants frames at all. */
    boolean listens() {
        return initialized && filter != 0;
    }

    /** Whether the guest wants a frame that goes to this address. */
    boolean wants(long destination) {
        if (!listens()) {
            return false;
        }
        if ((filter & PROMISCUOUS) != 0) {
            return true;
        }
        if (destination == ALL) {
            return (filter & BROADCAST) != 0;
        }
        if ((destination & GROUP) == 0) {
            return (filter & DIRECTED) != 0 && destination == address;
        }
        return (filter & ALL_MULTICAST) != 0
                || (filter & MULTICAST) != 0 && Arrays.stream(multicast).anyMatch(one -> one == destination);
    }

    /** Does what a message says; the answer, null when it has none. */
    byte @Nullable [] handle(Rndis message) {
        return switch (message) {
            case Rndis.Initialize(int request, int major, int _) -> {
                initialized = major == 1;
                yield Rndis.initializeComplete(
                        request, initialized ? Rndis.SUCCESS : Rndis.NOT_SUPPORTED, Transmitter.MAX_BYTES);
            }
            case Rndis.Halt _ -> {
                initialized = false;
                filter = 0;
                yield null;
            }
            case Rndis.Query(int request, int object, byte[] _) -> {
                byte[] value = query(object);
                yield value == null
                        ? Rndis.queryComplete(request, Rndis.NOT_SUPPORTED, new byte[0])
                        : Rndis.queryComplete(request, Rndis.SUCCESS, value);
            }
            case Rndis.Set(int request, int object, byte[] information) ->
                Rndis.setComplete(request, set(object, information));
            case Rndis.Reset() -> {
                filter = 0;
                multicast = new long[0];
                yield Rndis.resetComplete();
            }
            case Rndis.KeepAlive(int request) -> Rndis.keepAliveComplete(request);
            case Rndis.Malformed() -> null;
        };
    }

    private static byte[] ints(int... values) {
        ByteBuffer out = ByteBuffer.allocate(4 * values.length).order(ByteOrder.LITTLE_ENDIAN);
        for (int value : values) {
            out.putInt(value);
        }
        return out.array();
    }

    private byte @Nullable [] query(int object) {
        int mtu = facts.link().mtu();
        return switch (object) {
            case Oid.SUPPORTED_LIST -> ints(Oid.ALL);
            case Oid.HARDWARE_STATUS,
                    Oid.MEDIA_SUPPORTED,
                    Oid.MEDIA_IN_USE,
                    Oid.PHYSICAL_MEDIUM,
                    Oid.RECEIVE_ERRORS,
                    Oid.ALIGNMENT_ERRORS,
                    Oid.ONE_COLLISION,
                    Oid.MORE_COLLISIONS -> ints(0);
            case Oid.MAXIMUM_LOOKAHEAD, Oid.CURRENT_LOOKAHEAD, Oid.MAXIMUM_FRAME_SIZE -> ints(mtu);
            case Oid.MAXIMUM_TOTAL_SIZE, Oid.TRANSMIT_BLOCK_SIZE, Oid.RECEIVE_BLOCK_SIZE -> ints(mtu + 14);
            case Oid.LINK_SPEED -> ints((int) Math.min(facts.link().bitsPerSecond() / SPEED_UNIT, 0xffff_ffffL));
            case Oid.TRANSMIT_BUFFER_SPACE, Oid.RECEIVE_BUFFER_SPACE -> ints(Transmitter.MAX_BYTES);
            case Oid.VENDOR_ID -> ints(0xff_ffff); // of no maker with a number
            case Oid.VENDOR_DESCRIPTION -> "Torte network adapter\0".getBytes(StandardCharsets.US_ASCII);
            case Oid.VENDOR_DRIVER_VERSION -> ints(1);
            case Oid.DRIVER_VERSION -> new byte[] {(byte) DRIVER_VERSION, DRIVER_VERSION >> 8};
            case Oid.CURRENT_PACKET_FILTER -> ints(filter);
            case Oid.PROTOCOL_OPTIONS -> ints(0);
            case Oid.MAC_OPTIONS -> ints(0x4d); // tags and priorities, full duplex, no loopback, data may be copied
            case Oid.MEDIA_CONNECT_STATUS -> ints(facts.linkAsked().up() ? 0 : 1);
            case Oid.MAXIMUM_SEND_PACKETS -> ints(Rndis.MAX_MESSAGES);
            case Oid.FRAMES_SENT -> ints((int) facts.framesSent());
            case Oid.FRAMES_RECEIVED -> ints((int) facts.framesReceived());
            case Oid.SEND_ERRORS -> ints((int) facts.sentDropped());
            case Oid.RECEIVE_NO_BUFFER -> ints((int) facts.receivedDropped());
            case Oid.FRIENDLY_NAME -> "Network Adapter\0".getBytes(StandardCharsets.UTF_16LE);
            case Oid.PERMANENT_ADDRESS -> permanent.bytes();
            case Oid.CURRENT_ADDRESS -> address().bytes();
            case Oid.MULTICAST_LIST -> {
                ByteBuffer out = ByteBuffer.allocate(MacAddress.LENGTH * multicast.length);
                for (long one : multicast) {
                    out.put(new MacAddress(one).bytes());
                }
                yield out.array();
            }
            case Oid.MAXIMUM_LIST_SIZE -> ints(MAX_MULTICAST);
            case Oid.OFFLOAD_CAPABILITIES, Oid.OFFLOAD_CONFIGURATION ->
                NdisOffload.capabilities(ndisMinor >= NDIS_6_30 ? 3 : ndisMinor >= NDIS_6_1 ? 2 : 1);
            case Oid.RECEIVE_SCALE_CAPABILITIES ->
                facts.channels() > 1 ? ReceiveScaling.capabilities(facts.channels()) : null;
            default -> null;
        };
    }

    private int set(int object, byte[] value) {
        ByteBuffer view = ByteBuffer.wrap(value).order(ByteOrder.LITTLE_ENDIAN);
        switch (object) {
            case Oid.CURRENT_PACKET_FILTER -> {
                if (value.length < 4) {
                    return Rndis.INVALID_LENGTH;
                }
                filter = view.getInt();
                return Rndis.SUCCESS;
            }
            case Oid.MULTICAST_LIST -> {
                if (value.length % MacAddress.LENGTH != 0 || value.length > MacAddress.LENGTH * MAX_MULTICAST) {
                    return Rndis.INVALID_LENGTH;
                }
                multicast = new long[value.length / MacAddress.LENGTH];
                view.order(ByteOrder.BIG_ENDIAN);
                for (int i = 0; i < multicast.length; i++) {
                    multicast[i] = (view.getShort() & 0xffffL) << 32 | view.getInt() & 0xffff_ffffL;
                }
                return Rndis.SUCCESS;
            }
            case Oid.OFFLOAD_PARAMETERS -> {
                if (value.length < NdisOffload.PARAMETERS_SIZE) {
                    return Rndis.INVALID_LENGTH;
                }
                Boolean wanted = NdisOffload.coalescing(value);
                if (wanted != null) {
                    coalescing = wanted;
                }
                return Rndis.SUCCESS;
            }
            case Oid.CURRENT_LOOKAHEAD,
                    Oid.PROTOCOL_OPTIONS,
                    Oid.OFFLOAD_ENCAPSULATION,
                    Oid.NETWORK_LAYER_ADDRESSES -> {
                return Rndis.SUCCESS;
            }
            case Oid.RECEIVE_SCALE_PARAMETERS -> {
                return scaling.set(value);
            }
            case Oid.CONFIGURATION_PARAMETER -> {
                return setParameter(view);
            }
            default -> {
                return Rndis.NOT_SUPPORTED;
            }
        }
    }

    /**
     * A parameter by name: {name offset 4, length 4, type 4, value offset 4, length 4} and the two texts in UTF-16. The
     * only one is the address.
     */
    private int setParameter(ByteBuffer value) {
        if (value.remaining() < PARAMETER_HEADER) {
            return Rndis.INVALID_LENGTH;
        }
        String name = text(value, value.getInt(0), value.getInt(4));
        String digits = text(value, value.getInt(12), value.getInt(16));
        if (!ADDRESS_PARAMETER.equals(name) || value.getInt(8) != TEXT_PARAMETER || digits == null) {
            return Rndis.NOT_SUPPORTED;
        }
        try {
            MacAddress wanted = MacAddress.parse(digits);
            if (wanted.isGroup()) {
                return Rndis.INVALID_DATA;
            }
            address = wanted.value();
            return Rndis.SUCCESS;
        } catch (IllegalArgumentException e) {
            return Rndis.INVALID_DATA;
        }
    }

    private static @Nullable String text(ByteBuffer value, int offset, int length) {
        if (length < 0 || length > 256 || offset < 0 || offset > value.limit() - length) {
            return null;
        }
        byte[] text = new byte[length];
        value.get(offset, text);
        return new String(text, StandardCharsets.UTF_16LE);
    }

    void save(StateOutput state) {
        state.putBoolean(initialized).putInt(filter).putLong(address);
        state.putInt(multicast.length).putLongs(multicast);
        state.putBoolean(coalescing).putInt(ndisMinor);
        scaling.save(state);
    }

    void restore(StateInput state) {
        initialized = state.getBoolean();
        filter = state.getInt();
        address = state.getLong();
        state.check(address >>> 48 == 0, "an address of more than 48 bits");
        int count = state.getInt();
        state.check(count >= 0 && count <= MAX_MULTICAST, count + " multicast addresses");
        multicast = new long[count];
        state.getLongs(multicast);
        for (int i = 0; i < count; i++) {
            multicast[i] &= ALL;
        }
        coalescing = state.getBoolean();
        ndisMinor = state.getInt();
        scaling.reset();
        if (state.version() > 1) {
            scaling.restore(state);
        }
    }
}
