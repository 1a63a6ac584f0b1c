package org.torte.network.host;

import java.nio.charset.StandardCharsets;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import org.torte.network.NetworkException;

/**
 * A service of the host that guests reach, at the TCP port {@code port} of {@code host.torte}: a Unix-domain socket, which
 * whoever offers the service listens on. Guests reach nothing else of the host's own.
 *
 * @param port 1 to 65535
 * @param socket the socket's path, 107 bytes at most once it is absolute
 */
public record HostService(int port, Path socket) {
    /** What {@code sockaddr_un} has room for (unix(7)). */
    private static final int MAX_PATH = 107;

    /** Checks the ranges. */
    public HostService {
        socket = socket.toAbsolutePath();
        if (port < 1 || port > 65535) {
            throw new NetworkException("ports are 1 to 65535, not " + port);
        }
        if (socket.toString().getBytes(StandardCharsets.UTF_8).length > MAX_PATH) {
            throw new NetworkException("the path of a socket has at most " + MAX_PATH + " bytes: " + socket);
        }
    }

    /**
     * Reads {@code PORT:PATH}.
     *
     * @throws NetworkException when it is something else
     */
    public static HostService parse(String text) {
        int colon = text.indexOf(':');
        try {
            if (colon > 0 && colon < text.length() - 1) {
                return new HostService(Integer.parseInt(text.substring(0, colon)), Path.of(text.substring(colon + 1)));
            }
        } catch (NumberFormatException | InvalidPathException e) {
            throw new NetworkException(wrong(text), e);
        }
        throw new NetworkException(wrong(text));
    }

    private static String wrong(String text) {
        return "a service is PORT:SOCKET, for example 80:/run/pages.sock, not " + text;
    }

    @Override
    public String toString() {
        return port + ":" + socket;
    }
}
