package org.torte.network.host;

import java.io.IOException;
import java.lang.System.Logger.Level;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.net.StandardProtocolFamily;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Semaphore;

/**
 * Listens for TCP at an address of the host and passes each connection on to somewhere else, in both directions until each
 * has ended. Virtual threads do it, one that listens and two for a connection.
 */
final class Relay implements AutoCloseable {
    /** So many connections there are at a time; who comes then is sent away. */
    static final int MOST_CONNECTIONS = 256;

    private static final int PIECE = 32 << 10;
    private static final System.Logger LOG = System.getLogger(Relay.class.getName());

    private final ServerSocketChannel listener;
    private final SocketAddress target;
    private final Semaphore places = new Semaphore(MOST_CONNECTIONS);
    private final Thread listening = Thread.ofVirtual().name("torte-relay").unstarted(this::listen);

    private Relay(ServerSocketChannel listener, SocketAddress target) {
        this.listener = listener;
        this.target = target;
    }

    /**
     * Begins to listen.
     *
     * @throws IOException why the host does not let it
     */
    static Relay open(InetSocketAddress at, SocketAddress target) throws IOException {
        ServerSocketChannel listener;
        try {
            listener = ServerSocketChannel.open(StandardProtocolFamily.INET6);
        } catch (UnsupportedOperationException e) {
            throw new IOException("the host has no IPv6", e);
        }
        boolean done = false;
        try {
            listener.setOption(StandardSocketOptions.SO_REUSEADDR, true);
            listener.bind(at, 128);
            Relay relay = new Relay(listener, target);
            relay.listening.start();
            done = true;
            return relay;
        } finally {
            if (!done) {
                listener.close();
            }
        }
    }

    private void listen() {
        while (listener.isOpen()) {
            try {
                SocketChannel from = listener.accept();
                if (places.tryAcquire()) {
                    Thread _ = Thread.ofVirtual().name("torte-relay-connection").start(() -> carry(from));
                } else {
                    from.close();
                }
            } catch (IOException e) {
                // It is closed, or the process has no descriptor left: others give some back.
                LOG.log(Level.DEBUG, "nobody is let in", e);
                pause();
            }
        }
    }

    private static void pause() {
        try {
            Thread.sleep(10);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private void carry(SocketChannel from) {
        try (from;
                SocketChannel to = SocketChannel.open(target)) {
            from.setOption(StandardSocketOptions.TCP_NODELAY, true);
            CountDownLatch answered = new CountDownLatch(1);
            Thread _ = Thread.ofVirtual().name("torte-relay-answer").start(() -> {
                copy(to, from);
                answered.countDown();
            });
            copy(from, to);
            answered.await();
        } catch (IOException e) {
            LOG.log(Level.DEBUG, "a connection is not carried on", e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        } finally {
            places.release();
        }
    }

    /** Until one says that it has no more, which the other is told; an error ends both directions. */
    private static void copy(SocketChannel from, SocketChannel to) {
        try {
            ByteBuffer piece = ByteBuffer.allocate(PIECE);
            while (from.read(piece.clear()) >= 0) {
                piece.flip();
                while (piece.hasRemaining()) {
                    int _ = to.write(piece);
                }
            }
            to.shutdownOutput();
        } catch (IOException e) {
            LOG.log(Level.DEBUG, "a connection has broken", e);
            end(from);
            end(to);
        }
    }

    private static void end(SocketChannel channel) {
        try {
            channel.close();
        } catch (IOException e) {
            LOG.log(Level.DEBUG, "closing", e);
        }
    }

    /** Stops listening: the port is free when this returns. Connections that exist go on. */
    @Override
    public void close() {
        try {
            listener.close();
            // The host's descriptor goes only when the thread that waits for connections has come back.
            listening.join();
        } catch (IOException e) {
            LOG.log(Level.DEBUG, "closing", e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
