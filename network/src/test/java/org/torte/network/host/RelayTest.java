package org.torte.network.host;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Path;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.torte.network.NetworkException;

class RelayTest {
    private static final int PATIENCE = 60_000;

    @TempDir
    Path folder;

    private final InetAddress loopback = InetAddress.ofLiteral("::1");
    private ServerSocketChannel server;
    private PortForward forward;

    @BeforeEach
    void listen() throws IOException {
        server = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
        server.bind(UnixDomainSocketAddress.of(folder.resolve("target")));
        try (ServerSocket free = new ServerSocket(0, 1, loopback)) {
            forward = PortForward.parse("[::1]:" + free.getLocalPort() + ":80");
        } catch (IOException e) {
            org.junit.jupiter.api.Assumptions.abort("the host has no ::1");
        }
    }

    private RelayTarget target() throws IOException {
        return new RelayTarget(server.getLocalAddress(), () -> {});
    }

    private Socket connect() throws IOException {
        Socket client = new Socket();
        client.connect(new InetSocketAddress(loopback, forward.hostPort()), PATIENCE);
        client.setSoTimeout(PATIENCE);
        return client;
    }

    private static void add(Relays relays, PortForward forward, RelayTarget target) {
        relays.add(forward, () -> target);
    }

    @Test
    void bothDirectionsAreCarriedAndEachEndsByItself() throws IOException {
        byte[] question = new byte[300_000];
        new Random(1).nextBytes(question);
        try (Relays relays = new Relays()) {
            add(relays, forward, target());
            try (Socket client = connect();
                    SocketChannel served = server.accept()) {
                Thread _ = Thread.ofVirtual().start(() -> {
                    try {
                        client.getOutputStream().write(question);
                        client.shutdownOutput();
                    } catch (IOException e) {
                        throw new java.io.UncheckedIOException(e);
                    }
                });
                ByteBuffer got = ByteBuffer.allocate(question.length + 1);
                while (served.read(got) >= 0) {}
                assertThat(got.flip()).isEqualTo(ByteBuffer.wrap(question));
                served.write(ByteBuffer.wrap(new byte[] {42}));
                served.shutdownOutput();
                assertThat(client.getInputStream().readAllBytes()).containsExactly(42);
            }
        }
    }

    @Test
    void whoIsConnectedStaysSoWhenNobodyListensAnyMore() throws IOException {
        try (Relays relays = new Relays()) {
            add(relays, forward, target());
            try (Socket client = connect();
                    SocketChannel served = server.accept()) {
                relays.remove(forward);
                assertThatThrownBy(this::connect).isInstanceOf(java.net.ConnectException.class);
                served.write(ByteBuffer.wrap(new byte[] {7}));
                assertThat(client.getInputStream().read()).isEqualTo(7);
            }
        }
    }

    @Test
    void thePortIsFreeAsSoonAsNobodyListensAnyMore() throws IOException {
        for (int i = 0; i < 100; i++) {
            try (Relays relays = new Relays()) {
                add(relays, forward, target());
            }
            assertThatThrownBy(this::connect).isInstanceOf(java.net.ConnectException.class);
        }
    }

    @Test
    void withoutATargetTheConnectionEnds() throws IOException {
        try (Relays relays = new Relays()) {
            add(relays, forward, target());
            server.close();
            try (Socket client = connect()) {
                assertThat(client.getInputStream().read()).isNegative();
            }
        }
    }

    @Test
    void oneTooManyIsSentAwayAndThereIsRoomAgainAfterwards() throws IOException {
        java.util.List<java.io.Closeable> open = new java.util.ArrayList<>();
        try (Relays relays = new Relays()) {
            add(relays, forward, target());
            for (int i = 0; i < Relay.MOST_CONNECTIONS; i++) {
                open.add(connect());
                open.add(server.accept());
            }
            try (Socket client = connect()) {
                assertThat(client.getInputStream().read()).isNegative();
            }
            for (java.io.Closeable one : open) {
                one.close();
            }
            Thread _ = Thread.ofVirtual().start(this::answerAll);
            int answer = -1;
            for (int i = 0; i < 10_000 && answer < 0; i++) { // until the relay has noticed
                try (Socket client = connect()) {
                    answer = client.getInputStream().read();
                }
            }
            assertThat(answer).isEqualTo(9);
        }
    }

    private void answerAll() {
        while (true) {
            try (SocketChannel served = server.accept()) {
                served.write(ByteBuffer.wrap(new byte[] {9}));
            } catch (IOException e) {
                return;
            }
        }
    }

    @AfterEach
    void stop() throws IOException {
        server.close();
    }

    @Test
    void whatIsWrongIsToldAndNothingStays() throws IOException {
        try (Relays relays = new Relays();
                ServerSocket taken = new ServerSocket(0, 1, loopback)) {
            int[] gone = {0};
            RelayTarget counted = new RelayTarget(server.getLocalAddress(), () -> gone[0]++);
            PortForward inUse = PortForward.parse("[::1]:" + taken.getLocalPort() + ":80");
            assertThatThrownBy(() -> add(relays, inUse, counted))
                    .isInstanceOf(NetworkException.class)
                    .hasMessage("port " + taken.getLocalPort() + " of the host (::1) is in use: forward another one");
            assertThatThrownBy(() -> add(relays, PortForward.parse("[2001:db8::1]:2222:80"), counted))
                    .hasMessageContaining("the host has to have that address");
            assertThat(gone[0]).isEqualTo(2);
            add(relays, forward, target());
            assertThatThrownBy(() -> add(relays, forward, counted)).hasMessageContaining("in use");
        }
        assertThatThrownBy(this::connect).isInstanceOf(IOException.class);
    }
}
