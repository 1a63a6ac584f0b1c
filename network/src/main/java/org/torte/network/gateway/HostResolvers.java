package org.torte.network.gateway;

import java.io.IOException;
import java.net.DatagramPacket;
import java.net.DatagramSocket;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Semaphore;
import java.util.function.Consumer;

/**
 * Asks the host's name servers, those of resolv.conf, one after the other. Each question goes from a port and with a number
 * of its own, and only answers of whom was asked, to what was asked, come back (RFC 5452). Safe for several threads.
 */
final class HostResolvers implements DnsServer.Forwarding {
    /** Where the host says who its name servers are. */
    static final Path RESOLV_CONF = Path.of("/etc/resolv.conf");

    private static final int MAX_UNDER_WAY = 128;
    private static final int MAX_SERVERS = 3;
    private static final int TIMEOUT_MILLIS = 2500;
    private static final int MAX_ANSWER = 65_507;

    private final Path resolvConf;
    private final int port;
    private final Semaphore underWay = new Semaphore(MAX_UNDER_WAY);

    HostResolvers(Path resolvConf, int port) {
        this.resolvConf = resolvConf;
        this.port = port;
    }

    /** The name servers now; the file is read each time, for the host may have moved to another network. */
    List<InetAddress> servers() {
        List<InetAddress> servers = new ArrayList<>();
        try {
            for (String line : Files.readAllLines(resolvConf)) {
                String[] words = line.strip().split("\\s+", -1);
                if (words.length > 1 && words[0].equals("nameserver") && servers.size() < MAX_SERVERS) {
                    try {
                        servers.add(InetAddress.ofLiteral(words[1]));
                    } catch (IllegalArgumentException e) {
                        // A line that no resolver understands either.
                    }
                }
            }
        } catch (IOException e) {
            // No such file: resolvers ask this host then (resolv.conf(5)).
        }
        if (servers.isEmpty()) {
            servers.add(InetAddress.getLoopbackAddress());
        }
        return servers;
    }

    @Override
    public boolean ask(ByteBuffer query, Consumer<byte[]> answer) {
        if (!underWay.tryAcquire()) {
            return false;
        }
        byte[] question = new byte[query.limit()];
        query.get(0, question);
        Thread.ofVirtual().name("torte-dns").start(() -> {
            try {
                for (InetAddress server : servers()) {
                    byte[] got = ask(server, question);
                    if (got.length > 0) {
                        answer.accept(got);
                        return;
                    }
                }
            } finally {
                underWay.release();
            }
        });
        return true;
    }

    /** The answer of one server, or nothing. */
    private byte[] ask(InetAddress server, byte[] question) {
        byte[] sent = question.clone();
        byte[] id = new byte[2];
        new java.security.SecureRandom().nextBytes(id);
        System.arraycopy(id, 0, sent, 0, 2);
        int end = DnsMessage.parse(ByteBuffer.wrap(question))
                .map(DnsMessage::questionEnd)
                .orElse(0);
        try (DatagramSocket socket = new DatagramSocket(null)) {
            socket.connect(new InetSocketAddress(server, port));
            socket.send(new DatagramPacket(sent, sent.length));
            DatagramPacket packet = new DatagramPacket(new byte[MAX_ANSWER], MAX_ANSWER);
            long deadline = System.nanoTime() + TIMEOUT_MILLIS * 1_000_000L;
            while (true) {
                long left = (deadline - System.nanoTime()) / 1_000_000L;
                if (left <= 0) {
                    return new byte[0];
                }
                socket.setSoTimeout((int) left);
                socket.receive(packet);
                byte[] got = Arrays.copyOf(packet.getData(), packet.getLength());
                if (got.length >= end
                        && end > 0
                        && got[0] == id[0]
                        && got[1] == id[1]
                        && got[2] < 0
                        && Arrays.equals(lower(got, DnsMessage.HEADER, end), lower(question, DnsMessage.HEADER, end))) {
                    System.arraycopy(question, 0, got, 0, 2);
                    return got;
                }
            }
        } catch (IOException e) {
            return new byte[0]; // nobody there, or too late: the next one
        }
    }

    /** Name servers may change the case of letters. */
    private static byte[] lower(byte[] bytes, int from, int to) {
        byte[] copy = Arrays.copyOfRange(bytes, from, to);
        for (int i = 0; i < copy.length; i++) {
            copy[i] = (byte) (copy[i] >= 'A' && copy[i] <= 'Z' ? copy[i] + 32 : copy[i]);
        }
        return copy;
    }
}
