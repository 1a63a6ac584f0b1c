package org.torte.management.rest;

import com.fasterxml.jackson.annotation.JsonProperty;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.security.SecureRandom;
import java.time.InstantSource;
import java.util.Base64;
import java.util.Comparator;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.Consumer;
import org.torte.management.Problem;
import org.torte.management.WhatIf;
import org.torte.management.definition.Json;
import org.torte.management.store.DurableFile;
import org.torte.management.store.Reason;

/**
 * Tokens: random, 256 bits, of which only the hash is kept. The first belongs to the user of the service and is made anew
 * at each start. Safe for several threads.
 */
public final class Access {
    /** The name of the first token. */
    public static final String OWNER = "owner";

    private static final int MAX_TOKENS = 1000;

    private final Path file;
    private final InstantSource clock;
    private final SecureRandom random = new SecureRandom();
    private final Map<String, Token> byHash = new ConcurrentHashMap<>();
    private final List<Consumer<Token>> whenRemoved = new CopyOnWriteArrayList<>();

    /**
     * A token, without what opens the door.
     *
     * @param name what people call it
     * @param role what it allows
     * @param created when it was made
     * @param hash SHA-256 of it, in hexadecimal digits
     */
    public record Token(
            @JsonProperty(required = true) String name,
            @JsonProperty(required = true) Role role,
            @JsonProperty(required = true) String created,
            @JsonProperty(required = true) String hash) {}

    /** Reads the tokens that there are. */
    public Access(Path file, InstantSource clock) {
        this.file = file;
        this.clock = clock;
        if (Files.exists(file)) {
            try {
                for (Token token : Json.read(Files.readAllBytes(file), Token[].class, file.toString())) {
                    byHash.put(token.hash(), token);
                }
            } catch (IOException e) {
                throw new Problem(
                        Problem.Kind.UNAVAILABLE,
                        file + " cannot be read (" + Reason.of(e) + ")",
                        "make it readable",
                        e);
            }
        }
    }

    /** Makes the token of the service's own user, which is kept nowhere here. */
    public String owner() {
        String secret = secret();
        byHash.values().removeIf(token -> token.name().equals(OWNER));
        byHash.put(
                hash(secret),
                new Token(OWNER, Role.ADMINISTRATOR, clock.instant().toString(), hash(secret)));
        return secret;
    }

    /** The token that somebody has shown. */
    Optional<Token> find(String secret) {
        return Optional.ofNullable(byHash.get(hash(secret)));
    }

    /** Whether a token that was found opens the door still. */
    boolean holds(Token token) {
        return token.equals(byHash.get(token.hash()));
    }

    /** Has somebody told of each token that is removed. */
    void whenRemoved(Consumer<Token> listener) {
        whenRemoved.add(listener);
    }

    /** The tokens, by name. */
    List<Token> list() {
        return byHash.values().stream()
                .sorted(Comparator.comparing(Token::name))
                .toList();
    }

    /** Makes a token, and gives what opens the door, which is never to be had again. */
    synchronized String add(String name, Role role) {
        if (!name.matches("[A-Za-z0-9][A-Za-z0-9._-]{0,62}")) {
            throw new Problem(
                    Problem.Kind.INVALID,
                    "this is no name for a token",
                    "give 1 to 63 letters, digits, dots, dashes and underscores");
        }
        if (byHash.values().stream().anyMatch(token -> token.name().equals(name))) {
            throw new Problem(
                    Problem.Kind.EXISTS, "there is a token called " + name + " already", "choose another name");
        }
        if (byHash.size() >= MAX_TOKENS) {
            throw new Problem(Problem.Kind.CONFLICT, "there are " + MAX_TOKENS + " tokens", "remove some");
        }
        WhatIf.wouldChange();
        String secret = secret();
        Token token = new Token(name, role, clock.instant().toString(), hash(secret));
        byHash.put(token.hash(), token);
        try {
            save();
        } catch (Problem e) {
            byHash.remove(token.hash());
            throw e;
        }
        return secret;
    }

    /** Removes a token. */
    synchronized void remove(String name) {
        Token token = list().stream()
                .filter(one -> one.name().equals(name))
                .findFirst()
                .orElseThrow(() -> new Problem(
                        Problem.Kind.NOT_FOUND,
                        "there is no such token",
                        "torte token list shows those that there are"));
        if (name.equals(OWNER)) {
            throw new Problem(
                    Problem.Kind.CONFLICT,
                    "the owner's token cannot be removed",
                    "a restart of the service makes it anew");
        }
        WhatIf.wouldChange();
        byHash.remove(token.hash());
        try {
            save();
        } catch (Problem e) {
            byHash.put(token.hash(), token);
            throw e;
        }
        whenRemoved.forEach(listener -> listener.accept(token));
    }

    private void save() {
        try {
            DurableFile.replace(
                    file,
                    Json.pretty(list().stream()
                            .filter(token -> !token.name().equals(OWNER))
                            .toList()));
        } catch (IOException e) {
            throw new Problem(
                    Problem.Kind.UNAVAILABLE,
                    file + " cannot be written (" + Reason.of(e) + ")",
                    "make room, and give the user of the service permission to write there",
                    e);
        }
    }

    /** Something random of 256 bits. */
    String secret() {
        byte[] bytes = new byte[32];
        random.nextBytes(bytes);
        return Base64.getUrlEncoder().withoutPadding().encodeToString(bytes);
    }

    static String hash(String secret) {
        try {
            return HexFormat.of()
                    .formatHex(MessageDigest.getInstance("SHA-256").digest(secret.getBytes(StandardCharsets.UTF_8)));
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }
}
