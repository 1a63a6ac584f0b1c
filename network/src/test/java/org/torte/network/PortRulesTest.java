package org.torte.network;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.fail;

import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.torte.base.ManualClock;
import org.torte.base.ManualTimers;
import org.torte.base.RandomSource;
import org.torte.base.net.MacAddress;

/** Rules and guards of ports. */
class PortRulesTest {
    private static final AclRule.PortRange ALL = AclRule.PortRange.ALL;

    private final ManualTimers timers = new ManualTimers(new ManualClock(Instant.EPOCH));
    private final VirtualSwitch network = new VirtualSwitch("rules", timers, RandomSource.seeded(1));
    private final RawStation a = new RawStation(0x00155d000001L).plugInto(network.addPort(PortSettings.named("a")));
    private final RawStation b = new RawStation(0x00155d000002L).plugInto(network.addPort(PortSettings.named("b")));

    private static SwitchPort port(RawStation station) {
        return (SwitchPort) java.util.Objects.requireNonNull(station.port);
    }

    private void rules(RawStation station, AclRule... rules) {
        port(station).configure(port(station).settings().withRules(List.of(rules)));
    }

    private boolean passes(byte[] packet, boolean ipv6) {
        return passes(Frames.ethernet(b.address(), a.address(), ipv6 ? 0x86dd : 0x0800, packet));
    }

    private boolean passes(byte[] frame) {
        int before = b.got.size();
        a.send(frame);
        return b.got.size() > before;
    }

    /** One packet of each sort, and each rule made of its parts: the rule fits exactly when all of its parts do. */
    @Test
    void aRuleFitsWhatItSaysAndNothingElse() {
        String[][] hosts = {{"10.0.0.1", "10.0.0.2"}, {"10.0.1.1", "192.168.0.1"}, {"fd00::1", "fd00::2"}};
        int[] protocols = {6, 17, 1, 58};
        int[][] ports = {{1000, 22}, {53, 1023}};
        String[] prefixes = {"", "10.0.0.0/24", "10.0.0.1/32", "0.0.0.0/0", "fd00::/16", "fd00::2", "192.168.0.0/31"};
        int checked = 0;
        for (AclRule.Direction direction : AclRule.Direction.values()) {
            for (boolean atSender : new boolean[] {true, false}) {
                for (String local : prefixes) {
                    for (String remote : prefixes) {
                        for (int protocol : new int[] {-1, 6, 17, 1}) {
                            for (int portRule = 0; portRule < (protocol == 6 || protocol == 17 ? 3 : 1); portRule++) {
                                AclRule rule = rule(direction, local, remote, protocol, portRule);
                                if (rule == null) {
                                    continue;
                                }
                                rules(atSender ? a : b, rule);
                                for (String[] host : hosts) {
                                    for (int sent : protocols) {
                                        for (int[] port : ports) {
                                            boolean fits =
                                                    fits(rule, atSender, host, sent, port, local, remote, portRule);
                                            boolean ipv6 = host[0].contains(":");
                                            byte[] body = Frames.ports(port[0], port[1], 4);
                                            byte[] packet = ipv6
                                                    ? Frames.ipv6(host[0], host[1], sent, body)
                                                    : Frames.ipv4(host[0], host[1], sent, 0, body);
                                            if (passes(packet, ipv6) == fits) {
                                                fail("%s at %s: %s to %s", rule, atSender, host[0], host[1]);
                                            }
                                            checked++;
                                        }
                                    }
                                }
                                rules(atSender ? a : b);
                            }
                        }
                    }
                }
            }
        }
        assertThat(checked).isGreaterThan(20_000);
    }

    private static @Nullable AclRule rule(
            AclRule.Direction direction, String local, String remote, int protocol, int portRule) {
        AddressPrefix its = local.isEmpty() ? null : AddressPrefix.parse(local);
        AddressPrefix other = remote.isEmpty() ? null : AddressPrefix.parse(remote);
        if (its != null && other != null && its.ipv6() != other.ipv6()) {
            assertThatThrownBy(() -> new AclRule(direction, false, null, its, other, -1, ALL, ALL))
                    .isInstanceOf(IllegalArgumentException.class);
            return null;
        }
        return new AclRule(
                direction,
                false,
                null,
                its,
                other,
                protocol,
                portRule == 1 ? new AclRule.PortRange(1, 1023) : ALL,
                portRule == 2 ? new AclRule.PortRange(22, 22) : ALL);
    }

    /** The same in other words. */
    private static boolean fits(
            AclRule rule,
            boolean atSender,
            String[] host,
            int sent,
            int[] port,
            String local,
            String remote,
            int portRule) {
        if (rule.direction() != AclRule.Direction.BOTH
                && (rule.direction() == AclRule.Direction.OUTBOUND) != atSender) {
            return false;
        }
        String mine = host[atSender ? 0 : 1], other = host[atSender ? 1 : 0];
        int myPort = port[atSender ? 0 : 1], otherPort = port[atSender ? 1 : 0];
        return within(mine, local)
                && within(other, remote)
                && (rule.protocol() < 0 || rule.protocol() == sent)
                && switch (portRule) {
                    case 1 -> myPort >= 1 && myPort <= 1023;
                    case 2 -> otherPort == 22;
                    default -> true;
                };
    }

    private static boolean within(String host, String prefix) {
        return switch (prefix) {
            case "" -> true;
            case "0.0.0.0/0" -> !host.contains(":");
            case "10.0.0.0/24" -> host.startsWith("10.0.0.");
            case "fd00::/16" -> host.startsWith("fd00:");
            case "192.168.0.0/31" -> host.equals("192.168.0.1");
            default -> host.equals(prefix.replace("/32", ""));
        };
    }

    @Test
    void theFirstRuleThatFitsDecides() {
        byte[] ssh = Frames.ipv4("10.0.0.1", "10.0.0.2", 6, 0, Frames.ports(1000, 22, 12));
        byte[] http = Frames.ipv4("10.0.0.1", "10.0.0.2", 6, 0, Frames.ports(1000, 80, 12));
        AclRule allowSsh =
                new AclRule(AclRule.Direction.OUTBOUND, true, null, null, null, 6, ALL, new AclRule.PortRange(22, 22));
        AclRule denyAll = AclRule.all(AclRule.Direction.BOTH, false);

        rules(a, allowSsh, denyAll);
        assertThat(List.of(passes(ssh, false), passes(http, false))).containsExactly(true, false);
        rules(a, denyAll, allowSsh);
        assertThat(List.of(passes(ssh, false), passes(http, false))).containsExactly(false, false);
        assertThat(port(a).drops(true)).isEqualTo(Map.of(DropReason.ACL, 3L));
    }

    @Test
    void rulesForStationsFitFramesThatAreNotIp() {
        rules(a, new AclRule(AclRule.Direction.OUTBOUND, false, b.address(), null, null, AclRule.ANY, ALL, ALL));

        assertThat(passes(a.frame(b, 1))).isFalse();
        assertThat(passes(a.frame(MacAddress.BROADCAST, 0x0806, 1))).isTrue();
    }

    @Test
    void laterFragmentsEscapeNoRule() {
        byte[] later = Frames.ipv4("10.0.0.1", "10.0.0.2", 6, 100, new byte[40]);
        AclRule deny =
                new AclRule(AclRule.Direction.OUTBOUND, false, null, null, null, 6, ALL, new AclRule.PortRange(22, 22));
        AclRule allow =
                new AclRule(AclRule.Direction.OUTBOUND, true, null, null, null, 6, ALL, new AclRule.PortRange(22, 22));

        rules(a, deny);
        assertThat(passes(later, false)).isFalse();
        rules(a, allow, AclRule.all(AclRule.Direction.OUTBOUND, false));
        assertThat(passes(later, false)).isFalse();
    }

    @Test
    void whatRulesCannotReadIsDropped() {
        rules(a, AclRule.remote(AclRule.Direction.OUTBOUND, false, AddressPrefix.parse("10.9.9.9")));
        byte[] good = Frames.ipv4("10.0.0.1", "10.0.0.2", 6, 0, Frames.ports(1, 2, 12));
        byte[] shortHeader = good.clone();
        shortHeader[0] = 0x44;
        byte[] version = good.clone();
        version[0] = 0x55;

        assertThat(passes(good, false)).isTrue();
        assertThat(passes(shortHeader, false)).isFalse();
        assertThat(passes(version, false)).isFalse();
        for (int length = 0; length < 28; length++) {
            assertThat(passes(java.util.Arrays.copyOf(good, length), false)).isFalse();
        }
    }

    /** What a DHCP server or a router sends, in all the wrappings in which receivers accept it. */
    @Test
    void guardsSeeThroughTagsEncapsulationsAndExtensionHeaders() {
        port(a).configure(port(a).settings().withGuards(true, true));
        byte[] dhcp = Frames.ipv4("10.0.0.1", "10.0.0.2", 17, 0, Frames.ports(67, 68, 240));
        byte[] dhcpv6 = Frames.ipv6("fe80::1", "fe80::2", 17, Frames.ports(547, 546, 30));
        byte[] advertisement = new byte[16];
        advertisement[0] = (byte) 134;
        byte[] router = Frames.ipv6("fe80::1", "ff02::1", 58, advertisement);
        byte[] wrapped = new byte[24];
        wrapped[0] = 60;
        byte[] hop = new byte[8 + 8 + 16];
        hop[0] = 60;
        hop[8] = 58;
        System.arraycopy(advertisement, 0, hop, 16, 16);
        byte[] behindOptions = Frames.ipv6("fe80::1", "ff02::1", 0, hop);
        byte[] fragmented = new byte[8 + 16];
        fragmented[0] = 58;
        System.arraycopy(advertisement, 0, fragmented, 8, 16);
        byte[] firstFragment = Frames.ipv6("fe80::1", "ff02::1", 44, fragmented);
        byte[] headless = Frames.ipv6("fe80::1", "ff02::1", 44, java.util.Arrays.copyOf(fragmented, 10));
        byte[] redirect = Frames.ipv4("10.0.0.1", "10.0.0.2", 1, 0, new byte[] {5, 1, 0, 0, 0, 0, 0, 0});
        byte[] snap = new byte[8 + dhcp.length];
        System.arraycopy(new byte[] {(byte) 0xaa, (byte) 0xaa, 3, 0, 0, 0, 8, 0}, 0, snap, 0, 8);
        System.arraycopy(dhcp, 0, snap, 8, dhcp.length);

        assertThat(Stream.of(dhcp, redirect)).allMatch(packet -> !passes(packet, false));
        assertThat(Stream.of(dhcpv6, router, behindOptions, firstFragment, headless))
                .allMatch(packet -> !passes(packet, true));
        assertThat(passes(Frames.ethernet(b.address(), a.address(), snap.length, snap)))
                .isFalse();
        byte[] frame = Frames.ethernet(b.address(), a.address(), 0x0800, dhcp);
        assertThat(passes(Frames.tagged(frame, 0))).isFalse();
        assertThat(passes(Frames.tagged(Frames.tagged(frame, 0), 0))).isFalse();
        assertThat(passes(Frames.ipv4("10.0.0.1", "10.0.0.2", 17, 0, Frames.ports(68, 67, 240)), false))
                .as("a client's")
                .isTrue();
        assertThat(passes(Frames.ipv6("fe80::1", "ff02::1", 58, new byte[] {(byte) 135, 0, 0, 0, 0, 0, 0, 0}), true))
                .as("a neighbour solicitation")
                .isTrue();
        assertThat(port(a).drops(true).keySet())
                .containsExactlyInAnyOrder(DropReason.DHCP_GUARD, DropReason.ROUTER_GUARD, DropReason.MALFORMED);
    }

    @Test
    void noiseHarmsNothing() {
        long seed = Long.getLong("torte.seed", 1);
        Random random = new Random(seed);
        System.getLogger("test").log(System.Logger.Level.INFO, "seed {0}", seed);
        port(a).configure(port(a).settings().withGuards(true, true).withMacSpoofing(true));
        rules(b, AclRule.remote(AclRule.Direction.INBOUND, false, AddressPrefix.parse("10.0.0.0/8")));
        int[] types = {0x0800, 0x86dd, 0x8100, 0x88a8, 0x0806, 40};
        for (int i = 0; i < 20_000; i++) {
            byte[] frame = new byte[random.nextInt(200)];
            random.nextBytes(frame);
            if (frame.length >= 14) {
                int type = types[random.nextInt(types.length)];
                frame[12] = (byte) (type >>> 8);
                frame[13] = (byte) type;
                if (random.nextBoolean()) {
                    System.arraycopy(b.address().bytes(), 0, frame, 0, 6);
                }
                if (frame.length > 14) {
                    frame[14] = (byte) (random.nextBoolean() ? 0x45 : 0x60);
                }
            }
            if (a.send(frame) != 1) {
                fail("seed %d, case %d", seed, i);
            }
        }
        b.got.clear();
        assertThat(passes(Frames.ipv4("1.2.3.4", "10.0.0.2", 6, 0, Frames.ports(1, 2, 12)), false))
                .isTrue();
    }

    @Test
    void addressesAreReadAndWrongOnesRefused() {
        assertThat(AddressPrefix.parse("10.1.2.3/8")).isEqualTo(AddressPrefix.parse("10.0.0.0/8"));
        assertThat(AddressPrefix.parse("fd00::1").length()).isEqualTo(128);
        for (String wrong : new String[] {"", "10.0.0.0/33", "::/129", "localhost", "10.0.0.0/x", "1.2.3.4.5", "/8"}) {
            assertThatThrownBy(() -> AddressPrefix.parse(wrong)).as(wrong).isInstanceOf(IllegalArgumentException.class);
        }
    }

    @Test
    void aRuleThatSaysSomethingElseThanItSeemsToIsRefused() {
        for (String wrong : List.of(
                "deny out remote 10/8",
                "deny out remote 10.1/16",
                "deny out remote 1.1.1.1 remote 2.2.2.2",
                "allow in tcp local-port 22 local-port 23",
                "allow in tcp local-port 70000",
                "allow in tcp local-port 9-5",
                "deny out 300",
                "deny out remote 10.0.0.0/33",
                "deny out remote fd00::/129",
                "deny out remote-port 25")) {
            assertThatThrownBy(() -> AclRule.parse(wrong)).as(wrong).isInstanceOf(IllegalArgumentException.class);
        }
    }
}
