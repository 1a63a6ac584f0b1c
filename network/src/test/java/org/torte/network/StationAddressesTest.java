package org.torte.network;

import static org.assertj.core.api.Assertions.assertThat;

import java.net.InetAddress;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.torte.base.Clock;
import org.torte.base.RandomSource;
import org.torte.base.TimerThread;
import org.torte.base.net.MacAddress;

/** Which addresses a switch sees its stations use. */
class StationAddressesTest {
    private final TimerThread timers = new TimerThread(Clock.system(), "timers");
    private final VirtualSwitch network = new VirtualSwitch("lab", timers, RandomSource.seeded(1));
    private final SwitchPort port = network.addPort(PortSettings.named("one").withFloods(1 << 20));
    private final RawStation station = new RawStation(0x02_0000_0000_01L).plugInto(port);

    @AfterEach
    void close() {
        network.close();
        timers.close();
    }

    private static byte[] arp(MacAddress from, long hardware, String address) {
        byte[] body = ByteBuffer.allocate(28)
                .putLong(0x0001_0800_0604_0001L)
                .putShort((short) (hardware >>> 32))
                .putInt((int) hardware)
                .put(Frames.address(address))
                .array();
        return Frames.ethernet(MacAddress.BROADCAST, from, 0x0806, body);
    }

    private byte[] arp(String address) {
        return arp(station.address(), station.address().value(), address);
    }

    private static byte[] solicitation(MacAddress from, String source, String target) {
        byte[] body = ByteBuffer.allocate(24)
                .putInt(135 << 24)
                .putInt(0)
                .put(Frames.address(target))
                .array();
        MacAddress group = new MacAddress(0x3333_ff00_0001L);
        return Frames.ethernet(group, from, 0x86dd, Frames.ipv6(source, "ff02::1:ff00:1", 58, body));
    }

    private List<String> seen() {
        return port.seen().stream().map(InetAddress::getHostAddress).toList();
    }

    @Test
    void whatAStationSaysToAllIsSeen() {
        station.send(solicitation(station.address(), "::", "fe80::1:2"), arp("10.1.2.3"), arp("10.1.2.4"));
        station.send(solicitation(station.address(), "fd00::7", "fd00::1"), arp("10.1.2.3"));
        station.send(Frames.tagged(arp("10.1.2.5"), 0));

        assertThat(seen())
                .containsExactly("10.1.2.4", "10.1.2.3", "10.1.2.5", "fe80:0:0:0:0:0:1:2", "fd00:0:0:0:0:0:0:7");
        port.unplug();
        new RawStation(0x02_0000_0000_02L).plugInto(port);
        assertThat(seen()).as("of another one").isEmpty();
    }

    @Test
    void whatIsNobodysOrSomebodyElsesIsNot() {
        station.send(arp("0.0.0.0"), arp("224.0.0.1"), arp("127.0.0.1"), arp("255.255.255.255"));
        station.send(arp(station.address(), 0x02_0000_0000_09L, "10.1.2.3"));
        station.send(arp(new MacAddress(0x02_0000_0000_09L), 0x02_0000_0000_09L, "10.1.2.3"));
        station.send(solicitation(station.address(), "::", "::"), solicitation(station.address(), "ff02::1", "::1"));
        byte[] whole = arp("10.1.2.3");
        for (int length = 14; length < 42; length++) {
            station.send(java.util.Arrays.copyOf(whole, length));
        }
        assertThat(seen()).isEmpty();
    }

    @Test
    void noStationFillsMemoryOrBreaksIt() {
        long seed = Long.getLong("torte.seed", 1);
        System.getLogger("test").log(System.Logger.Level.INFO, "seed {0}", seed);
        Random random = new Random(seed);
        for (int i = 0; i < 1000; i++) {
            station.send(arp("10.1." + i / 250 + "." + (1 + i % 250)));
        }
        assertThat(seen()).hasSize(StationAddresses.MOST).endsWith("10.1.3.250");
        for (int i = 0; i < 20_000; i++) {
            byte[] frame =
                    random.nextBoolean() ? arp("10.9.9.9") : solicitation(station.address(), "fe80::9", "fe80::8");
            for (int n = random.nextInt(4); n > 0; n--) {
                frame[12 + random.nextInt(frame.length - 12)] = (byte) random.nextInt();
            }
            station.send(java.util.Arrays.copyOf(frame, 14 + random.nextInt(frame.length - 13)));
        }
        assertThat(seen()).hasSizeLessThanOrEqualTo(StationAddresses.MOST);
    }
}
