package org.torte.machine.network;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.UUID;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.torte.base.StateContainerReader;
import org.torte.base.StateContainerWriter;
import org.torte.base.net.FrameBatch;
import org.torte.base.net.MacAddress;
import org.torte.machine.vmbus.TestGuest;
import org.torte.machine.vmbus.TestGuest.OpenChannel;

/** An adapter with several channels, over which receive-side scaling spreads what comes. */
@Timeout(120)
class FurtherChannelsTest {
    private static final MacAddress ADDRESS = MacAddress.parse("02:00:00:00:00:01");
    private static final int ALL = 0x2d, CHANNELS = 4;

    private final TestGuest machine = new TestGuest();
    private final PortRecorder port = new PortRecorder();
    private final SyntheticAdapter adapter = new SyntheticAdapter(machine.bus, 0, UUID.randomUUID(), ADDRESS, CHANNELS);

    @AfterEach
    void close() {
        assertThat(machine.failures).isEmpty();
        machine.close();
    }

    private AdapterGuest guest() {
        adapter.connect(port);
        machine.bus.attach(adapter);
        AdapterGuest guest = new AdapterGuest(machine, 16).initialize(Nvsp.VERSION_6_1);
        guest.setFilter(ALL);
        return guest;
    }

    /** Spreads by the ports of TCP: the entries of the table are the channels in turn. */
    private static void scale(AdapterGuest guest) {
        int[] entries = new int[128];
        for (int i = 0; i < entries.length; i++) {
            entries[i] = i % CHANNELS;
        }
        byte[] parameters =
                ReceiveScalingTest.parameters(ReceiveScalingTest.EVERYTHING, ReceiveScalingTest.KEY, entries);
        assertThat(guest.set(Oid.RECEIVE_SCALE_PARAMETERS, parameters)).isZero();
    }

    /** A frame for the guest whose connection belongs to channel 2: its hash is 51ccc178 + 2. */
    private static byte[] connection(String from, int fromPort, String to, int toPort) throws IOException {
        byte[] frame = ReceiveScalingTest.frame(from, fromPort, to, toPort, 6);
        System.arraycopy(ADDRESS.bytes(), 0, frame, 0, 6);
        return frame;
    }

    private static byte[] forChannel0() throws IOException {
        return connection("66.9.149.187", 2794, "161.142.100.80", 1766); // 51ccc178
    }

    private static byte[] forChannel2() throws IOException {
        return connection("199.92.111.2", 14230, "65.69.140.83", 4739); // c626b0ea
    }

    private static byte[] forChannel3() throws IOException {
        return connection("38.27.205.30", 48228, "209.142.163.6", 2217); // afc7327f
    }

    private void give(byte[] frame) {
        assertThat(PortRecorder.give(adapter, frame, 0, 0, FrameBatch.NO_VLAN)).isTrue();
    }

    @Test
    void theGuestGetsAsManyAsTheMachineHasProcessorsAndIsToldHowToSpreadWhatItSends() {
        AdapterGuest guest = guest();
        ByteBuffer capabilities = guest.query(Oid.RECEIVE_SCALE_CAPABILITIES);
        assertThat(capabilities.remaining()).isEqualTo(18);
        assertThat(capabilities.getInt(12)).isEqualTo(CHANNELS);
        assertThat(guest.openFurther(63, CHANNELS - 1)).hasSize(CHANNELS - 1);
        guest.takeAll();
        ByteBuffer table = guest.inBand.removeFirst();
        assertThat(table.getInt(0)).isEqualTo(Nvsp.SEND_TABLE);
        assertThat(table.getInt(4)).isEqualTo(16);
        for (int i = 0; i < 16; i++) {
            assertThat(table.getInt(table.getInt(8) + 4 * i)).isEqualTo(i % CHANNELS);
        }
        assertThat(guest.nvsp(Nvsp.SUBCHANNELS, 2, 1).getInt(4)).isEqualTo(Nvsp.FAILURE);
    }

    @Test
    void connectionsComeByTheChannelsOfTheirHashesAndTheirPlacesAreGivenBackThere() throws IOException {
        AdapterGuest guest = guest();
        List<OpenChannel> further = guest.openFurther(3, 3);
        scale(guest);
        for (int i = 0; i < 3 * guest.places; i++) {
            give(forChannel2());
            give(forChannel0());
            give(forChannel3());
            assertThat(guest.takeAll(further.get(0))).isZero();
            assertThat(guest.takeAll(further.get(1))).isEqualTo(1);
            assertThat(guest.frames.removeLast()).isEqualTo(forChannel2());
            assertThat(guest.takeAll(further.get(2))).isEqualTo(1);
            assertThat(guest.frames.removeLast()).isEqualTo(forChannel3());
            guest.takeAll();
            assertThat(guest.frames.removeLast()).isEqualTo(forChannel0());
        }
    }

    @Test
    void eachChannelSendsAndIsAnsweredOnItself() {
        AdapterGuest guest = guest();
        List<OpenChannel> further = guest.openFurther(3, 3);
        byte[] frame = new byte[100];
        byte[] message = AdapterGuest.dataMessage(frame);
        guest.putSection(3, message);
        guest.takeAll();
        int before = guest.completions;
        for (OpenChannel channel : further) {
            guest.rndisBy(channel, 3, message.length);
        }
        guest.takeAll();
        assertThat(guest.completions).isEqualTo(before);
        further.forEach(guest::takeAll);
        assertThat(guest.completions).isEqualTo(before + 3);
        assertThat(port.frames).containsExactly(frame, frame, frame);
    }

    @Test
    void whatTheNetworkDoesNotTakeWaitsAndIsAnsweredWhereItCameFrom() {
        AdapterGuest guest = guest();
        List<OpenChannel> further = guest.openFurther(3, 3);
        byte[] message = AdapterGuest.dataMessage(new byte[100]);
        guest.putSection(3, message);
        guest.takeAll();
        port.room = 0;
        int sent = 0;
        int before = guest.completions;
        for (; sent < 300; sent++) {
            guest.rndisBy(further.get(1), 3, message.length);
            guest.takeAll(further.get(1));
        }
        assertThat(guest.completions - before).as("the batch is full").isLessThan(sent);
        port.room = 1000;
        adapter.roomAvailable();
        guest.takeAll(further.get(1));
        assertThat(guest.completions - before).isEqualTo(sent);
        assertThat(port.frames).hasSize(sent);
    }

    @Test
    void framesForAChannelThatIsClosedComeByTheFirst() throws IOException {
        AdapterGuest guest = guest();
        List<OpenChannel> further = guest.openFurther(3, 3);
        scale(guest);
        machine.post(7, further.get(1).id);
        give(forChannel2());
        guest.takeAll();
        assertThat(guest.frames).containsExactly(forChannel2());
    }

    @Test
    void aBufferIsTakenBackFromAllOfThem() throws IOException {
        AdapterGuest guest = guest();
        List<OpenChannel> further = guest.openFurther(3, 3);
        scale(guest);
        machine.messages.clear();
        machine.post(11, guest.channel.id, AdapterGuest.RECEIVE_HANDLE);
        assertThat(machine.expect(12).getInt()).isEqualTo(AdapterGuest.RECEIVE_HANDLE);
        give(forChannel2());
        assertThat(guest.takeAll(further.get(1))).isZero();
        assertThat(machine.memory.getLong(guest.receivePages[0] * 4096 + 64)).isZero();
    }

    @Test
    void itIsSavedAndGoesOnWithAllItsChannels() throws IOException {
        AdapterGuest guest = guest();
        List<OpenChannel> further = guest.openFurther(3, 3);
        scale(guest);
        port.room = 0;
        byte[] message = AdapterGuest.dataMessage(new byte[100]);
        guest.putSection(3, message);
        for (int i = 0; i < 300; i++) {
            guest.rndisBy(further.get(0), 3, message.length);
            guest.takeAll(further.get(0));
        }
        give(forChannel2());
        int before = guest.completions;
        byte[] saved = save();
        machine.bus.stop();
        StateContainerReader reader = new StateContainerReader(new ByteArrayInputStream(saved));
        reader.readRest(machine.memory);
        machine.bus.restore(reader.section("bus", 1));
        adapter.restore(reader.section("adapter", adapter.stateVersion()));
        assertThat(save()).isEqualTo(saved);
        machine.bus.start();
        port.room = 1000;
        adapter.roomAvailable();
        guest.takeAll(further.get(0));
        assertThat(guest.completions).isGreaterThan(before);
        assertThat(port.frames).hasSize(300);
        assertThat(guest.takeAll(further.get(1))).isEqualTo(1);
        give(forChannel3());
        assertThat(guest.takeAll(further.get(2))).isEqualTo(1);
    }

    private byte[] save() {
        machine.bus.stop();
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        StateContainerWriter writer = new StateContainerWriter(out, "test");
        writer.section("bus", 1, machine.bus::save);
        writer.section("adapter", adapter.stateVersion(), adapter::save);
        writer.finish();
        return out.toByteArray();
    }
}
