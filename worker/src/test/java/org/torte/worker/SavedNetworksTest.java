package org.torte.worker;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.torte.base.net.LinkState;
import org.torte.base.net.MacAddress;

/** The adapters of a machine that was saved, where its networks are elsewhere by then. */
class SavedNetworksTest {
    private static final UUID IDENTITY = new UUID(1, 2);
    private static final MacAddress STATION = new MacAddress(0x0200_0000_0001L);

    /** Two instructions that wait for an interrupt for ever, as a multiboot kernel. */
    private static final byte[] WAITING = {
        0x02,
        (byte) 0xb0,
        (byte) 0xad,
        0x1b,
        0,
        0,
        1,
        0,
        (byte) 0xfe,
        0x4f,
        0x51,
        (byte) 0xe4,
        0,
        0,
        0x10,
        0,
        0,
        0,
        0x10,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0x20,
        0,
        0x10,
        0,
        (byte) 0xf4,
        (byte) 0xeb,
        (byte) 0xfd
    };

    @TempDir
    private Path folder;

    private static NetworkSource source(NetworkSource.Plug plug) {
        return new NetworkSource(plug, Optional.of(STATION), LinkState.DEFAULT_MTU);
    }

    private static VirtualMachine.Builder builder() {
        return VirtualMachine.builder().hypervisor("software").identity(IDENTITY);
    }

    @Test
    void adaptersKeepTheirAddressesAndArePluggedInWhereTheyAreSaidToBe() throws java.io.IOException {
        Path kernel = folder.resolve("kernel"), saved = folder.resolve("saved");
        java.nio.file.Files.write(kernel, WAITING);
        MacAddress second;
        try (VirtualMachine machine = builder()
                .kernel(kernel)
                .memory(4 << 20)
                .network(source(new NetworkSource.Unplugged()))
                .network(NetworkSource.of(new NetworkSource.Cable(folder.resolve("one"))))
                .build()) {
            machine.start();
            second = machine.networkAddress(1);
            machine.save(saved);
        }

        try (VirtualMachine same = builder().savedState(saved).build()) {
            assertThat(same.networks().values())
                    .extracting(NetworkState::plug)
                    .containsExactly(new NetworkSource.Unplugged(), new NetworkSource.Cable(folder.resolve("one")));
        }
        Path other = folder.resolve("other");
        try (VirtualMachine moved = builder()
                .savedState(saved)
                .network(NetworkSource.of(new NetworkSource.Loopback()))
                .network(NetworkSource.of(new NetworkSource.Cable(other)))
                .build()) {
            assertThat(moved.networks().values())
                    .containsExactly(
                            new NetworkState(STATION, new NetworkSource.Loopback(), List.of(), Optional.empty()),
                            new NetworkState(second, new NetworkSource.Cable(other), List.of(), Optional.empty()));
        }
    }
}
