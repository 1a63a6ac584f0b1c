package org.torte.network;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class MacAddressTest {
    @ParameterizedTest
    @ValueSource(strings = {"00:15:5d:01:02:03", "00-15-5D-01-02-03", "00155D010203"})
    void addressesAreReadInTheUsualSpellings(String text) {
        assertThat(MacAddress.parse(text)).contains(new MacAddress(0x00155d010203L));
        assertThat(MacAddress.parse(text).orElseThrow()).hasToString("00:15:5d:01:02:03");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "00:15:5d:01:02",
                "00:15:5d:01:02:0",
                "00:15-5d:01:02:03",
                "0015:5d:01:02:03:",
                "00:15:5d:01:02:0g",
                "00155D01020",
                "+0155D010203",
                "00.15.5d.01.02.03"
            })
    void whatIsNoAddressIsRefused(String text) {
        assertThat(MacAddress.parse(text)).isEmpty();
    }

    @Test
    void groupAndLocalAddressesAreTold() {
        assertThat(MacAddress.BROADCAST.isGroup()).isTrue();
        assertThat(MacAddress.parse("01:00:5e:00:00:fb").orElseThrow().isGroup())
                .isTrue();
        assertThat(MacAddress.parse("00:15:5d:00:00:01").orElseThrow().isGroup())
                .isFalse();
        assertThat(MacAddress.parse("02:15:5d:00:00:01").orElseThrow().isLocal())
                .isTrue();
        assertThatThrownBy(() -> new MacAddress(1L << 48)).isInstanceOf(IllegalArgumentException.class);
    }

    @Test
    void bytesAndValueAgree() {
        byte[] bytes = {9, 0x00, 0x15, 0x5d, (byte) 0xff, 0x02, 0x03, 9};

        MacAddress address = MacAddress.of(bytes, 1);
        byte[] copy = new byte[8];
        address.put(copy, 1);

        assertThat(address).hasToString("00:15:5d:ff:02:03");
        assertThat(copy).containsExactly(0, 0x00, 0x15, 0x5d, 0xff, 0x02, 0x03, 0);
    }
}
