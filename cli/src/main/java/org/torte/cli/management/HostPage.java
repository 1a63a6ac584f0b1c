package org.torte.cli.management;

import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * One page, for a guest to fetch: HTTP/1.0 (RFC 1945) on a Unix-domain socket, which is the only thing of the host that the
 * guest is led to. Whatever is asked for, the page is the answer. Safe for several threads.
 */
final class HostPage implements AutoCloseable {
    /** Bytes of a request that are read; what sends more is no browser. */
    private static final int MAX_REQUEST = 8192;

    private final Path socket;
    private final ServerSocketChannel server;
    private final byte[] answer;
    private final AtomicInteger fetched = new AtomicInteger();

    /**
     * Listens.
     *
     * @param socket made here, and deleted by {@link #close}; the folder decides who reaches it
     */
    HostPage(Path socket, String page) throws IOException {
        this.socket = socket;
        byte[] body = page.getBytes(StandardCharsets.UTF_8);
        byte[] head = ("HTTP/1.0 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: " + body.length
                        + "\r\nConnection: close\r\n\r\n")
                .getBytes(StandardCharsets.US_ASCII);
        answer = ByteBuffer.allocate(head.length + body.length)
                .put(head)
                .put(body)
                .array();
        Files.deleteIfExists(socket);
        server = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
        server.bind(UnixDomainSocketAddress.of(socket));
        Thread.ofPlatform().name("torte-page").daemon().start(this::serve);
    }

    private void serve() {
        try {
            while (true) {
                SocketChannel client = server.accept();
                Thread.ofVirtual().name("torte-page-client").start(() -> answer(client));
            }
        } catch (IOException e) {
            // It is closed.
            return;
        }
    }

    private void answer(SocketChannel client) {
        try (client) {
            ByteBuffer request = ByteBuffer.allocate(MAX_REQUEST);
            while (request.hasRemaining() && !isWhole(request) && client.read(request) >= 0) {}
            ByteBuffer bytes = ByteBuffer.wrap(answer);
            while (bytes.hasRemaining()) {
                client.write(bytes);
            }
            fetched.incrementAndGet();
        } catch (IOException e) {
            // Whoever asked has gone.
            return;
        }
    }

    /** Whether the empty line is there that ends a request. */
    private static boolean isWhole(ByteBuffer request) {
        String text =
                StandardCharsets.ISO_8859_1.decode(request.duplicate().flip()).toString();
        return text.contains("\r\n\r\n") || text.contains("\n\n");
    }

    /** How often it was fetched. */
    int fetched() {
        return fetched.get();
    }

    @Override
    public void close() throws IOException {
        server.close();
        Files.deleteIfExists(socket);
    }
}
