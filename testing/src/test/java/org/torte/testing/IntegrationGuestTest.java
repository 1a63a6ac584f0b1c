package org.torte.testing;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.abort;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.torte.disk.CreateOptions;
import org.torte.disk.DiskFormat;
import org.torte.disk.DiskOptions;
import org.torte.disk.VirtualDisks;
import org.torte.machine.integration.Backup;
import org.torte.machine.integration.DynamicMemory;
import org.torte.machine.integration.Heartbeat;
import org.torte.machine.integration.KeyStroke;
import org.torte.machine.integration.KeyValueExchange.Pool;
import org.torte.machine.integration.Shutdown;
import org.torte.worker.DiskSource;
import org.torte.worker.ExitReport;
import org.torte.worker.InputException;
import org.torte.worker.VirtualMachine;
import org.torte.worker.guest.GuestImages;

/** The distribution's kernel and daemons use the integration services with their own code. */
class IntegrationGuestTest {
    private static final Duration PATIENCE = Duration.ofMinutes(5);
    private static final long MIB = 1 << 20;

    /** Starts the daemons and then does, line by line, what is typed on the console; says when it has. */
    private static final String WORK = """
            dmesg -n 1
            stty -echo
            for what in poweroff reboot; do
              rm -f /sbin/$what /usr/sbin/$what /bin/$what
              printf '#!/bin/busybox sh\\n/bin/busybox mount | /bin/busybox grep -q /mnt && /bin/busybox umount /mnt\\nexec /bin/busybox %s -f\\n' $what >/sbin/$what
              chmod +x /sbin/$what
            done
            mkdir -p /var/lib/hyperv /mnt
            chmod +x /usr/sbin/hv_* /lib64/* /lib/x86_64-linux-gnu/*
            printf 'NAME=Tiny\\nVERSION_ID=12\\nPRETTY_NAME="Torte tiny"\\n' >/etc/os-release
            n=0; until [ -b /dev/sda ] && [ -e /dev/vmbus/hv_vss ]; do
              n=$((n + 1)); [ $n -gt 600 ] && break; usleep 100000
            done
            mke2fs -I 256 /dev/sda >/dev/null && mount -t ext4 /dev/sda /mnt
            hv_kvp_daemon; hv_vss_daemon
            insmod /torte/hv_balloon.ko pressure_report_delay=0
            echo P:ready
            while read -r line; do eval "$line"; echo P:done; done
            """;

    /** What Linux says on every machine without a PCI bus, and of small inodes. */
    private static final Pattern HARMLESS = KernelWarnings.harmless("supports timestamps until");

    @TempDir
    static Path folder;

    private static String command(VirtualMachine machine, String line) {
        machine.console().type(line + "\n");
        return machine.console().waitForText(Pattern.compile("P:done\\r?\\n"), PATIENCE);
    }

    private static <T> T get(CompletableFuture<T> future) {
        return future.orTimeout(PATIENCE.toSeconds(), TimeUnit.SECONDS).join();
    }

    private static long clockError(VirtualMachine machine) {
        Instant before = Instant.now();
        Matcher seconds = Pattern.compile("P:time (\\d+)").matcher(command(machine, "echo \"P:time $(date +%s)\""));
        assertThat(seconds.find()).isTrue();
        long guest = Long.parseLong(seconds.group(1));
        return guest < before.getEpochSecond()
                ? guest - before.getEpochSecond()
                : Math.max(0, guest - Instant.now().getEpochSecond());
    }

    private static void awaitHeartbeat(VirtualMachine machine) {
        Heartbeat heartbeat = machine.integration().heartbeat().orElseThrow();
        long answers = heartbeat.status().answers();
        // The console is what tells that time has passed in the guest.
        for (int i = 0; i < 100 && heartbeat.status().answers() == answers; i++) {
            command(machine, "sleep 1");
        }
        assertThat(heartbeat.status().state()).isEqualTo(Heartbeat.State.OK);
        assertThat(heartbeat.status().answers()).isGreaterThan(answers);
    }

    private static void exchangePairs(VirtualMachine machine) {
        var kvp = machine.integration().kvp().orElseThrow();
        assertThat(get(kvp.set(Pool.EXTERNAL, "greeting", "höflich"))).isTrue();
        assertThat(command(machine, "tr -d '\\000' </var/lib/hyperv/.kvp_pool_0; echo"))
                .contains("greeting")
                .contains("höflich");
        String record = "{ printf role; head -c 508 /dev/zero; printf tiny; head -c 2044 /dev/zero; }";
        command(machine, record + " >>/var/lib/hyperv/.kvp_pool_1");
        assertThat(get(kvp.pairs(Pool.GUEST))).isEqualTo(Map.of("role", "tiny"));
        Map<String, String> facts = get(kvp.pairs(Pool.AUTO));
        assertThat(facts).containsEntry("OSName", "Tiny").containsEntry("ProcessorArchitecture", "x86_64");
        assertThat(facts.get("OSVersion")).startsWith("6.");
        assertThat(facts).containsKeys("NetworkAddressIPv4", "FullyQualifiedDomainName");
        assertThat(get(kvp.remove(Pool.EXTERNAL, "greeting"))).isTrue();
        assertThat(get(kvp.pairs(Pool.EXTERNAL))).isEmpty();
    }

    /** A write to a frozen file system waits until it is thawed. */
    private static void freezeAndThaw(VirtualMachine machine) {
        Backup backup = machine.integration().vss().orElseThrow();
        get(backup.freeze(600));
        command(machine, "(echo x >/mnt/late; echo P:written) & usleep 500000");
        assertThat(machine.console().readAvailable()).doesNotContain("P:written");
        get(backup.thaw());
        machine.console().waitForText("P:written", PATIENCE);
        assertThat(backup.state()).isEqualTo(Backup.State.THAWED);
    }

    private static long free(VirtualMachine machine) {
        Matcher kibibytes = Pattern.compile("MemFree: *(\\d+)").matcher(command(machine, "cat /proc/meminfo"));
        assertThat(kibibytes.find()).isTrue();
        return Long.parseLong(kibibytes.group(1)) / 1024;
    }

    private static void takeMemory(VirtualMachine machine) {
        DynamicMemory memory = machine.integration().memory().orElseThrow();
        long total = memory.status().total();
        long before = free(machine);
        DynamicMemory.Status smaller = get(memory.setSize(total - 96 * MIB));
        assertThat(smaller.limited()).isFalse();
        assertThat(smaller.assigned()).isEqualTo(total - 96 * MIB);
        assertThat(smaller.refused()).isZero();
        assertThat(before - free(machine)).as("MiB that the guest has less").isGreaterThan(60);
        assertThat(machine.statistics().committedBytes())
                .as("what the host keeps for the guest")
                .isLessThanOrEqualTo(total - 96 * MIB);
        command(machine, "sleep 2");
        assertThat(memory.status().committed()).isGreaterThan(96 * MIB);
    }

    private static void giveMemoryBack(VirtualMachine machine) {
        DynamicMemory memory = machine.integration().memory().orElseThrow();
        long before = free(machine);
        DynamicMemory.Status status = get(memory.setSize(memory.status().total()));
        assertThat(status.assigned()).isEqualTo(status.total());
        assertThat(free(machine) - before).as("MiB that the guest has more").isGreaterThan(60);
        // The pages work.
        assertThat(command(
                        machine,
                        "mkdir /used && mount -t tmpfs -o size=300m tmpfs /used && dd if=/dev/zero of=/used/f bs=1M count=250"
                                + " && umount /used && echo P:used"))
                .contains("P:used");
    }

    @Test
    void aStockLinuxAnswersFreezesShrinksKeepsTimeAndShutsDown() throws IOException {
        GuestImages images = new GuestImages(step -> {});
        GuestImages.GuestKernel kernel;
        Path initrd = folder.resolve("initrd");
        try {
            kernel = images.guestKernel(GuestImages.CLOUD_KERNEL);
            Map<String, byte[]> files = images.daemons();
            files.put("torte/hv_balloon.ko", kernel.module("hv_balloon"));
            files.put("etc/hostname", "tiny\n".getBytes(java.nio.charset.StandardCharsets.UTF_8));
            images.initrd(WORK, files, kernel, GuestImages.SERVICE_GUEST_MODULES, initrd);
        } catch (InputException e) {
            abort("no guest can be made from this system's packages: " + e.getMessage());
            return;
        }
        Path disk = folder.resolve("disk.vhdx");
        VirtualDisks.create(disk, DiskFormat.VHDX, CreateOptions.dynamic(64 * MIB), DiskOptions.readWrite());
        Path saved = folder.resolve("saved");
        try (VirtualMachine machine = VirtualMachine.builder()
                .kernel(kernel.kernel())
                .initrd(initrd)
                .append(KernelWarnings.COMMAND_LINE)
                .memory(448 * MIB)
                .processors(2)
                .disk(DiskSource.of(disk))
                .build()) {
            machine.start();
            machine.console().waitForText("P:ready", PATIENCE);
            awaitHeartbeat(machine);
            assertThat(clockError(machine)).isBetween(-3L, 3L);
            exchangePairs(machine);
            freezeAndThaw(machine);
            machine.integration().keyboard().orElseThrow().press(KeyStroke.of("torte"));
            takeMemory(machine);
            machine.pause();
            machine.save(saved);
        }
        try (VirtualMachine machine = VirtualMachine.builder().savedState(saved).build()) {
            machine.start();
            awaitHeartbeat(machine);
            assertThat(clockError(machine)).as("after it was restored").isBetween(-3L, 3L);
            giveMemoryBack(machine);
            freezeAndThaw(machine);
            exchangePairs(machine);
            String warnings = command(machine, "dmesg -r | sed -n 's/^<[0-4]>/W:/p'");
            assertThat(warnings.lines().filter(line -> line.startsWith("W:")))
                    .as("warnings of the guest's kernel")
                    .allMatch(line -> HARMLESS.matcher(line).find());
            Shutdown shutdown = machine.integration().shutdown().orElseThrow();
            get(shutdown.request(Shutdown.Kind.RESTART, false, "again"));
            machine.console().waitForText("P:ready", PATIENCE);
            get(shutdown.request(Shutdown.Kind.POWER_OFF, false, "that is all"));
            assertThat(machine.awaitExit(PATIENCE)).isEqualTo(new ExitReport.PoweredOff());
        }
    }
}
