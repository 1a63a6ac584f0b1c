package org.torte.testing;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The example of README: each test finds the machine as {@code @BeforeAll} left it, in whatever order they run. */
@Vm(network = Vm.Network.NAT, guestPorts = 80, patience = 3600)
class VmExtensionTest {
    @BeforeAll
    static void install(TestMachine machine) {
        machine.output("echo hello from $(uname -s) >/root/index.html; httpd -p 80 -h /root");
    }

    @Test
    void aServerInTheGuestIsReachedFromTheHost(TestMachine machine) throws IOException {
        URI page = URI.create("http://127.0.0.1:" + machine.hostPort(80) + "/index.html");
        try (var body = page.toURL().openStream()) {
            assertThat(new String(body.readAllBytes(), StandardCharsets.UTF_8)).isEqualTo("hello from Linux\n");
        }
        assertThatThrownBy(() -> machine.hostPort(81)).hasMessageContaining("guestPorts = 81");
    }

    @Test
    void filesAndFoldersAreCopiedIntoTheGuest(TestMachine machine, @TempDir Path folder) throws IOException {
        clean(machine);
        Files.writeString(Files.createDirectory(folder.resolve("sub")).resolve("greeting"), "hello\n");
        Path script = Files.writeString(folder.resolve("script"), "#!/bin/sh\ncat ${0%/*}/sub/greeting\nexit 7\n");
        assertThat(script.toFile().setExecutable(true)).isTrue();

        machine.push(folder, "/root/pushed/files");

        GuestShell.Result result = machine.run("/root/pushed/files/script");
        assertThat(result).isEqualTo(new GuestShell.Result(7, "hello"));
        assertThat(machine.output("pwd")).isEqualTo("/root");
        spoil(machine);
    }

    @Test
    void whatOneTestDoesIsNotSeenByAnother(TestMachine machine) {
        clean(machine);
        spoil(machine);
    }

    @Test
    void evenAMachineThatHasPoweredOffIsBack(TestMachine machine) {
        clean(machine);
        spoil(machine);
        machine.machine().powerOff();
    }

    @Nested
    class InsideOfAnother {
        @Vm(network = Vm.Network.NAT, guestPorts = 80, patience = 3600)
        @SuppressWarnings("NullAway.Init")
        private TestMachine field;

        @Test
        void equalAnnotationsAreOneMachine(
                TestMachine machine, @Vm(network = Vm.Network.NAT, guestPorts = 80, patience = 3600) TestMachine same) {
            assertThat(field).isSameAs(machine).isSameAs(same);
        }
    }

    /** Memory, processes and disk are as they were. */
    private static void clean(TestMachine machine) {
        assertThat(machine.output("ls /root")).isEqualTo("index.html");
        assertThat(machine.output("ls -A /tmp")).isEmpty();
        assertThat(machine.output("pidof httpd")).matches("[0-9]+");
        assertThat(machine.output("echo \"[$variable]\"")).isEqualTo("[]");
    }

    private static void spoil(TestMachine machine) {
        machine.output("variable=set; killall httpd; rm /root/index.html; touch /tmp/mine /root/mine; sync");
    }
}
