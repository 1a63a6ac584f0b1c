package org.torte.network.host;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Optional;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A program that writes down how it is called stands for resolvectl, and a folder for the host's files. */
class HostNamesTest {
    @TempDir
    Path root;

    private Path calls;

    @BeforeEach
    void makeHost() throws IOException {
        calls = root.resolve("calls");
        Files.createDirectories(root.resolve("etc"));
        Files.createDirectories(root.resolve("run/systemd/resolve"));
        Files.writeString(root.resolve("etc/resolv.conf"), "# by systemd-resolved\nnameserver 127.0.0.53\n");
    }

    private Optional<HostProgram> resolvectl(String end) throws IOException {
        Path program =
                Files.writeString(root.resolve("resolvectl"), "#!/bin/sh\necho \"$*\" >>" + calls + "\n" + end + "\n");
        Files.setPosixFilePermissions(program, PosixFilePermissions.fromString("rwxr-xr-x"));
        return Optional.of(new HostProgram(program.toString()));
    }

    private static void await(BooleanSupplier condition) {
        long until = System.nanoTime() + 60_000_000_000L;
        while (!condition.getAsBoolean() && System.nanoTime() < until) {
            Thread.onSpinWait();
        }
        assertThat(condition.getAsBoolean()).isTrue();
    }

    private List<String> calls() {
        try {
            return Files.exists(calls) ? Files.readAllLines(calls) : List.of();
        } catch (IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
    }

    private HostNames told(Optional<HostProgram> program) {
        HostNames names = new HostNames(root, program, "torte0", "172.20.0.1");
        await(() -> !names.state().contains("being told"));
        return names;
    }

    @Test
    void systemdResolvedIsToldAndForgetsAgain() throws IOException {
        HostNames names = told(resolvectl("exit 0"));
        assertThat(names.state()).isEqualTo("by the host, too: systemd-resolved asks 172.20.0.1");
        assertThat(calls()).containsExactly("dns torte0 172.20.0.1", "domain torte0 ~torte");
        names.forget();
        await(() -> calls().contains("revert torte0"));
    }

    @Test
    void itIsToldAlsoWhereOnlyTheCLibraryAsksIt() throws IOException {
        Files.writeString(root.resolve("etc/resolv.conf"), "nameserver 192.0.2.1\n");
        Files.writeString(root.resolve("etc/nsswitch.conf"), "hosts: files resolve [!UNAVAIL=return] dns\n");
        assertThat(told(resolvectl("exit 0")).state()).startsWith("by the host, too");
    }

    @Test
    void whatItRefusesIsSaidWithTheCommands() throws IOException {
        assertThat(told(resolvectl("echo Access denied >&2; exit 1")).state())
                .isEqualTo("not by the host yet (Access denied): resolvectl dns torte0 172.20.0.1"
                        + " && resolvectl domain torte0 '~torte'");
        assertThat(calls()).containsExactly("dns torte0 172.20.0.1");
    }

    @Test
    void anotherResolverIsNotTouchedAndItIsSaidWhatItHasToBeTold() throws IOException {
        Files.writeString(root.resolve("etc/resolv.conf"), "nameserver 192.0.2.1\n");
        HostNames names = told(resolvectl("exit 0"));
        assertThat(names.state())
                .isEqualTo("not by the host until its resolver asks 172.20.0.1 for the domain torte"
                        + " (dnsmasq: server=/torte/172.20.0.1)");
        names.forget();
        assertThat(told(Optional.empty()).state()).startsWith("not by the host until");
        assertThat(calls()).isEmpty();
    }
}
