package org.torte.cli;

import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import org.torte.hypervisor.TranslatorMode;
import org.torte.machine.integration.IntegrationService;
import org.torte.worker.VirtualMachine;
import org.torte.worker.control.ControlServer;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code torte run}. */
@Command(
        name = "torte run",
        description = "Runs one virtual machine in the foreground, its serial console on the terminal.",
        sortOptions = false,
        footer = {
            "",
            "Keys: Ctrl-A x quits, Ctrl-A s saves to the --save file and quits, Ctrl-A b sends a break,",
            "Ctrl-A c takes one command of torte control, Ctrl-A Ctrl-A sends Ctrl-A, Ctrl-A h lists these.",
            "",
            "Exit status: 0 the guest powered off or was quit, 1 Torte failed, 2 wrong usage or unreadable input,",
            "3 the guest crashed, 4 timeout; with --exit-port, (what the guest wrote there << 1 | 1) & 255."
        })
final class RunCommand implements Callable<Integer> {
    @Option(
            names = "--kernel",
            paramLabel = "FILE",
            description =
                    "Linux bzImage, ELF with a PVH note, or multiboot 1 image; without it, the kernel that is on a"
                            + " --disk")
    @Nullable
    String kernel;

    @Option(
            names = "--initrd",
            paramLabel = "FILE",
            description = "initial RAM disk; for multiboot kernels a module, and may be repeated")
    List<String> initrds = new ArrayList<>();

    @Option(
            names = "--module",
            paramLabel = "'FILE ARGS'",
            description = "multiboot module with a command line of its own, after those of --initrd; may be repeated")
    List<String> modules = new ArrayList<>();

    @Option(
            names = "--append",
            paramLabel = "TEXT",
            description = "the kernel's command line, or what is added to the one on the --disk")
    @Nullable
    String append;

    @Option(names = "--memory", paramLabel = "SIZE", description = "RAM, such as 512M (the default) or 2G")
    @Nullable
    String memory;

    @Option(names = "--processors", paramLabel = "N", description = "virtual processors, 1 (the default) to 64")
    @Nullable
    String processors;

    @Option(
            names = "--cpu-model",
            paramLabel = "MODEL",
            description = "what processors the machine has: x86-64-v2 (the default), or x86-64-v1, which hosts without "
                    + "recent instructions have, too")
    @Nullable
    String cpuModel;

    @Option(
            names = "--disk",
            paramLabel = "FILE[,ro][,format=F]",
            description =
                    "a disk on the SCSI controller: raw, vhd or vhdx, as the file's name or format= says, and with "
                            + "ro not written; may be repeated")
    List<String> disks = new ArrayList<>();

    @Option(
            names = "--network",
            paramLabel = "PLUG[,mac=A][,mtu=N]",
            description =
                    "a network adapter: nat[,name=web1][,forward=2222:22][,service=80:SOCKET]... reaches what the "
                            + "host reaches, and is reached through ports of the host; cable:PATH is one end of a cable to another machine with the "
                            + "same path, loopback gives back what it gets; may be repeated")
    List<String> networks = new ArrayList<>();

    @Option(
            names = "--no-integration",
            paramLabel = "SERVICE,...",
            description = "integration services that the machine does not have: heartbeat, shutdown, time, kvp, vss, "
                    + "memory, keyboard, or all")
    @Nullable
    String noIntegration;

    @Option(
            names = "--hypervisor",
            paramLabel = "auto|software|kvm",
            description = "auto (the default), software or kvm")
    String hypervisor = "auto";

    @Option(
            names = "--translator",
            paramLabel = "on|off|only",
            description = "on (the default) has the software processor translate what guests execute often into host "
                    + "code; off interprets all, which is slower; only translates all, for tests")
    String translator = "on";

    @Option(
            names = "--exit-port",
            paramLabel = "PORT",
            description = "an I/O port, such as 0xf4, through which the guest ends the run with a status")
    @Nullable
    String exitPort;

    @Option(names = "--timeout", paramLabel = "TIME", description = "ends the run after this time, such as 60s or 5m")
    @Nullable
    String timeout;

    @Option(names = "--stats", description = "prints what the machine has done, at the end, on standard error")
    boolean statistics;

    @Option(
            names = "--control",
            paramLabel = "PATH",
            description = "a Unix-domain socket on which torte control and other programs steer the machine")
    @Nullable
    String control;

    @Option(
            names = "--save",
            paramLabel = "FILE",
            description = "saves the machine to FILE when the run ends before the guest does: by Ctrl-A s, at the "
                    + "--timeout, or by SIGTERM, SIGINT or SIGHUP")
    @Nullable
    String save;

    @Option(
            names = "--restore",
            paramLabel = "FILE",
            description = "goes on with the machine saved in FILE; what it is made of comes from there")
    @Nullable
    String restore;

    @Mixin
    HelpOption help = new HelpOption();

    @Override
    public Integer call() {
        VirtualMachine.Builder builder = restore == null ? newMachine() : savedMachine(restore);
        builder.hypervisor(hypervisor);
        builder.translator(translatorMode());
        builder.onGuestFailure(line -> System.err.print("\r\ntorte: the guest's system has failed: " + line + "\r\n"));
        builder.consoleOutput(new FileOutputStream(FileDescriptor.out));
        Duration limit = timeout == null ? null : Quantities.duration("--timeout", timeout);
        Path target = save == null ? null : DiskOption.path("--save", save);
        try (VirtualMachine machine = builder.build();
                ControlServer _ =
                        control == null ? null : ControlServer.open(DiskOption.path("--control", control), machine)) {
            machine.translatorObstacle()
                    .ifPresent(reason -> System.err.println("torte: the guest is interpreted: " + reason));
            return new ForegroundRun(machine, limit, statistics, target, System.err).run();
        }
    }

    private TranslatorMode translatorMode() {
        return switch (translator) {
            case "off" -> TranslatorMode.OFF;
            case "on" -> TranslatorMode.ON;
            case "only" -> TranslatorMode.ONLY;
            default -> throw new UsageException("--translator takes on, off or only, not \"" + translator + "\"");
        };
    }

    private VirtualMachine.Builder newMachine() {
        VirtualMachine.Builder builder = VirtualMachine.builder().append(append == null ? "" : append);
        if (kernel != null) {
            builder.kernel(DiskOption.path("--kernel", kernel));
        }
        for (String initrd : initrds) {
            builder.initrd(DiskOption.path("--initrd", initrd));
        }
        for (String module : modules) {
            int space = module.indexOf(' ');
            String file = space < 0 ? module : module.substring(0, space);
            builder.module(DiskOption.path("--module", file), space < 0 ? "" : module.substring(space + 1));
        }
        for (String disk : disks) {
            builder.disk(DiskOption.parse("--disk", disk));
        }
        for (String network : networks) {
            builder.network(NetworkOption.parse(network));
        }
        if (noIntegration != null) {
            builder.integration(without(noIntegration));
        }
        if (memory != null) {
            builder.memory(Quantities.bytes("--memory", memory));
        }
        if (processors != null) {
            builder.processors(Quantities.integer("--processors", processors));
        }
        if (cpuModel != null) {
            builder.cpuModel(cpuModel);
        }
        if (exitPort != null) {
            builder.exitPort(Quantities.integer("--exit-port", exitPort));
        }
        return builder;
    }

    private VirtualMachine.Builder savedMachine(String file) {
        if (save != null) {
            throw new UsageException("--save and --restore exclude each other; leave one of them out");
        }
        refuse("--kernel", kernel != null);
        refuse("--initrd", !initrds.isEmpty());
        refuse("--module", !modules.isEmpty());
        refuse("--append", append != null);
        refuse("--disk", !disks.isEmpty());
        refuse("--network", !networks.isEmpty());
        refuse("--no-integration", noIntegration != null);
        refuse("--memory", memory != null);
        refuse("--processors", processors != null);
        refuse("--cpu-model", cpuModel != null);
        refuse("--exit-port", exitPort != null);
        return VirtualMachine.builder().savedState(DiskOption.path("--restore", file));
    }

    private static void refuse(String option, boolean given) {
        if (given) {
            throw new UsageException(option + " is part of the saved machine; leave it out with --restore");
        }
    }

    private static Set<IntegrationService> without(String names) {
        try {
            EnumSet<IntegrationService> services = EnumSet.allOf(IntegrationService.class);
            services.removeAll(names.equals("all") ? IntegrationService.ALL : IntegrationService.parse(names));
            return services;
        } catch (IllegalArgumentException e) {
            throw new UsageException("--no-integration: " + e.getMessage(), e);
        }
    }
}
