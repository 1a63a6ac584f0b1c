package org.torte.cli;

import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintStream;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import org.jspecify.annotations.Nullable;
import org.torte.base.StateException;
import org.torte.hypervisor.HypervisorException;
import org.torte.hypervisor.TranslatorStatistics;
import org.torte.machine.boot.BootException;
import org.torte.worker.ExitReport;
import org.torte.worker.InputException;
import org.torte.worker.Statistics;
import org.torte.worker.VirtualMachine;
import org.torte.worker.control.ControlCommands;
import org.torte.worker.control.ControlException;

/**
 * Runs one machine in the foreground: its console on standard input and output, and the terminal raw meanwhile, if there
 * is one. Whatever ends this process, the terminal is put back.
 */
final class ForegroundRun {
    private static final String HELP = """
            \r
            Ctrl-A x       quit: the guest is turned off\r
            Ctrl-A s       save to the --save file and quit\r
            Ctrl-A c       type one command of torte control, such as status or shutdown\r
            Ctrl-A b       send a break (Linux: SysRq)\r
            Ctrl-A Ctrl-A  send Ctrl-A\r
            Ctrl-A h       this help\r
            """;

    private final VirtualMachine machine;
    private final @Nullable Duration timeout;
    private final boolean showStatistics;
    private final @Nullable Path saveFile;
    private final PrintStream messages;
    private final CountDownLatch finished = new CountDownLatch(1);

    ForegroundRun(
            VirtualMachine machine,
            @Nullable Duration timeout,
            boolean showStatistics,
            @Nullable Path saveFile,
            PrintStream messages) {
        this.machine = machine;
        this.timeout = timeout;
        this.showStatistics = showStatistics;
        this.saveFile = saveFile;
        this.messages = messages;
    }

    /** Runs it to its end and gives the exit status. */
    int run() {
        HostTerminal terminal = HostTerminal.find();
        Thread hook = Thread.ofPlatform().unstarted(() -> onSignal(terminal));
        Runtime.getRuntime().addShutdownHook(hook);
        ExitReport end;
        try {
            machine.start();
            if (terminal != null) {
                terminal.makeRaw();
            }
            Thread.ofPlatform().name("torte-keys").daemon().start(this::readKeys);
            end = machine.awaitExit(timeout == null ? Duration.ofDays(36500) : timeout);
            if (end instanceof ExitReport.TimedOut && saveFile != null) {
                machine.pause();
                machine.save(saveFile);
            }
            machine.console().close();
        } finally {
            if (terminal != null) {
                terminal.restore();
            }
            finished.countDown();
        }
        return conclude(end);
    }

    private int conclude(ExitReport end) {
        if (showStatistics) {
            print(machine.statistics());
            machine.translatorStatistics().ifPresent(this::print);
        }
        return switch (end) {
            case ExitReport.PoweredOff() -> ExitStatus.OK;
            case ExitReport.GuestExit(int status) -> status;
            case ExitReport.Crashed(String text) -> {
                messages.println("torte: " + text);
                yield ExitStatus.CRASHED;
            }
            case ExitReport.TimedOut() -> {
                messages.println(
                        saveFile == null
                                ? "torte: the time is up, the guest was turned off; give it more with --timeout"
                                : "torte: the time is up, the guest was saved to " + saveFile);
                yield ExitStatus.TIMEOUT;
            }
            case ExitReport.Stopped() -> ExitStatus.OK;
            case ExitReport.Failed(InputException cause) -> Torte.complain(cause);
            case ExitReport.Failed(BootException cause) -> Torte.complain(cause);
            case ExitReport.Failed(StateException cause) -> Torte.complain(cause);
            case ExitReport.Failed(HypervisorException cause) -> Torte.complain(cause);
            case ExitReport.Failed(Throwable cause) -> Torte.reportInternal(cause);
        };
    }

    /** On SIGTERM, SIGINT and SIGHUP, after which the JVM ends with the status of the signal; else there is nothing left. */
    private void onSignal(@Nullable HostTerminal terminal) {
        if (finished.getCount() > 0) {
            if (saveFile != null) {
                try {
                    machine.pause();
                    machine.save(saveFile);
                } catch (RuntimeException e) {
                    messages.println("torte: " + e.getMessage());
                }
            }
            if (terminal != null) {
                terminal.restore();
            }
        }
    }

    private void readKeys() {
        ConsoleKeys keys = new ConsoleKeys(new KeyActions());
        byte[] buffer = new byte[4096];
        try (InputStream input = new FileInputStream(FileDescriptor.in)) {
            while (true) {
                int length = input.read(buffer);
                if (length < 0) {
                    return;
                }
                machine.console().type(keys.filter(buffer, length));
                // A pipe may hold more than the guest will ever read: keep only some of it in memory.
                while (machine.console().pendingInput() > 1 << 16) {
                    if (!machine.console().awaitInputTaken(Duration.ofSeconds(1)) && finished.getCount() == 0) {
                        return;
                    }
                }
            }
        } catch (IOException e) {
            // Standard input is closed or its terminal has gone: the guest goes on without.
            return;
        }
    }

    private void print(Statistics s) {
        messages.printf(
                Locale.ROOT,
                "torte: %.1f s, %s, %d processors%n"
                        + "torte: exits: %d port reads, %d port writes, %d memory reads, %d memory writes, %d MSR reads, %d MSR writes%n"
                        + "torte: memory: %d MiB, of which %d MiB are committed%n",
                s.running().toNanos() / 1e9,
                s.instructions() < 0
                        ? "instructions not counted"
                        : String.format(Locale.ROOT, "%d instructions, %.1f MIPS", s.instructions(), s.mips()),
                s.processors(),
                s.portReads(),
                s.portWrites(),
                s.memoryReads(),
                s.memoryWrites(),
                s.msrReads(),
                s.msrWrites(),
                s.memoryBytes() >> 20,
                s.committedBytes() >> 20);
    }

    private void print(TranslatorStatistics t) {
        messages.printf(
                Locale.ROOT,
                "torte: translated: %d instructions executed, %d in %d blocks, %d KiB of code, %d invalidated, %d resets%n"
                        + "torte: left for: %d TLB misses, %d instructions, %d budgets, %d chains, %d far jumps%n",
                t.executed(),
                t.instructions(),
                t.blocks(),
                t.codeBytes() >> 10,
                t.invalidated(),
                t.resets(),
                t.missing(),
                t.interpreted(),
                t.budget(),
                t.chained(),
                t.jumps());
    }

    private final class KeyActions implements ConsoleKeys.Actions {
        @Override
        public void quit() {
            machine.powerOff();
        }

        @Override
        public void help() {
            messages.print(HELP);
        }

        @Override
        public void save() {
            if (saveFile == null) {
                messages.print("\r\ntorte: there is no file to save to; start again with --save FILE\r\n");
                return;
            }
            machine.pause();
            try {
                machine.save(saveFile);
                machine.powerOff();
            } catch (InputException e) {
                messages.print("\r\ntorte: " + e.getMessage() + "\r\n");
                machine.resume();
            }
        }

        @Override
        public void sendBreak() {
            machine.console().sendBreak();
        }

        @Override
        public void prompt() {
            messages.print("\r\ntorte> ");
        }

        @Override
        public void echo(String text) {
            messages.print(text);
        }

        @Override
        public void command(String line) {
            if (!line.isBlank()) {
                Thread _ = Thread.ofVirtual().start(() -> carryOut(line));
            }
        }

        private void carryOut(String line) {
            try {
                ControlWords.Request request = ControlWords.parse(ControlWords.split(line));
                Map<String, Object> result = new ControlCommands(machine)
                        .execute(request.method(), request.parameters(), text -> print("(" + text + ")\n"));
                print(result.isEmpty() ? "done\n" : ControlWords.text(result));
            } catch (UsageException | ControlException e) {
                print("torte: " + e.getMessage() + "\n");
            }
        }

        private void print(String text) {
            messages.print(text.replace("\n", "\r\n"));
        }
    }
}
