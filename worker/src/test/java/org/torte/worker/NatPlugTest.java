package org.torte.worker;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.torte.base.net.MacAddress;
import org.torte.network.host.HostService;
import org.torte.network.host.PortForward;

/** What a user is told about a NAT network, and what a saved machine finds again. */
class NatPlugTest {
    private static final MacAddress STATION = new MacAddress(0x020000000001L);

    private static final List<HostService> SERVICES = List.of(new HostService(80, Path.of("/run/a page.sock")));

    @TempDir
    private Path folder;

    private NetworkSource.Nat source(String... forwards) {
        return new NetworkSource.Nat(
                folder.resolve("net work"),
                "web1",
                List.of(forwards).stream().map(PortForward::parse).toList(),
                SERVICES);
    }

    private static NatPlug open(NetworkSource.Nat source, boolean sameFolder) {
        try {
            return NatPlug.open(source, STATION, sameFolder);
        } catch (InputException e) {
            String told = String.valueOf(e.getMessage());
            assumeTrue(!told.contains("apt-get install"), told);
            throw e;
        }
    }

    @Test
    void aTakenPortIsToldAndLeavesNothingOpen() throws IOException {
        try (ServerSocket taken = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            String forward = taken.getLocalPort() + ":80";
            assertThatThrownBy(() -> open(source(forward), false))
                    .isInstanceOf(InputException.class)
                    .hasMessageContaining(taken.getLocalPort() + " ")
                    .hasMessageContaining("in use");
        }
        open(source(), true).close();
    }

    @Test
    void aFolderThatIsAFileIsTold() throws IOException {
        Files.createFile(folder.resolve("net work"));

        assertThatThrownBy(() -> open(source(), false))
                .isInstanceOf(InputException.class)
                .hasMessageContaining("net work");
    }

    @Test
    void aSavedMachineFindsItsOwnNetworkOrNone() {
        NetworkSource.Nat saved;
        try (NatPlug first = open(source(), false);
                NatPlug second = open(source(), false)) {
            saved = NatPlug.parse(second.text());

            assertThat(saved.folder()).isEqualTo(folder.resolve("net work-2"));
            assertThatThrownBy(() -> open(saved, true))
                    .isInstanceOf(InputException.class)
                    .hasMessageContaining("in use");
            assertThat(NatPlug.parse(first.text())).isEqualTo(source());
        }
        open(saved, true).close();
    }

    @Test
    void wrongSavedStateIsRefused() {
        for (String wrong : List.of("", "web1", "web1\n", "Web_1\n\n/tmp", "web1\n1:2:3:4:5\n/tmp", "web1\n\n\0")) {
            assertThatThrownBy(() -> NatPlug.parse(wrong)).as(wrong).isInstanceOf(InputException.class);
        }
        String whole = "web1\n127.0.0.1:2222:22 127.0.0.1:53:53/udp\n/a\nb";
        NetworkSource.Nat parsed = NatPlug.parse(whole);

        assertThat(parsed.forwards()).hasSize(2);
        assertThat(parsed.folder()).isEqualTo(Path.of("/a\nb"));
    }
}
