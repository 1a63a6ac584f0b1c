package org.torte.cli;

import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.function.Supplier;
import org.torte.base.StateException;
import org.torte.cli.image.ImageCommand;
import org.torte.cli.management.AdapterCommand;
import org.torte.cli.management.CheckpointCommand;
import org.torte.cli.management.DemoCommand;
import org.torte.cli.management.EventCommand;
import org.torte.cli.management.HostCommand;
import org.torte.cli.management.ServiceCommand;
import org.torte.cli.management.SwitchCommand;
import org.torte.cli.management.SwitchProcessCommand;
import org.torte.cli.management.TaskCommand;
import org.torte.cli.management.TokenCommand;
import org.torte.cli.management.VmCommand;
import org.torte.cli.management.WorkerCommand;
import org.torte.cli.vhd.VhdCommand;
import org.torte.disk.DiskException;
import org.torte.hypervisor.HypervisorException;
import org.torte.machine.boot.BootException;
import org.torte.management.Problem;
import org.torte.network.NetworkException;
import org.torte.worker.InputException;
import picocli.CommandLine;

/** The {@code torte} command. */
public final class Torte {
    private static final String USAGE = """
            usage: torte COMMAND [OPTION...]

              run         runs one virtual machine in the foreground (torte run --help)
              control     steers a machine that torte run --control runs (torte control --help)
              demo        a Linux from the distribution's packages as a virtual machine (torte demo --help)
              vhd         makes, shows, checks and changes virtual disks (torte vhd --help)
              image       makes disks with guests on them (torte image --help)
              service     looks after virtual machines, each in a process of its own (torte service --help)
              vm          makes, shows, changes, starts and stops those (torte vm --help)
              adapter     shows, connects and sets their network adapters (torte adapter --help)
              switch      makes, shows, changes and removes virtual switches (torte switch --help)
              checkpoint  keeps them as they are, and returns them to it (torte checkpoint --help)
              task        shows what goes on, and cancels it
              event       shows what has happened
              host        shows the service
              token       makes and removes tokens for others
              doctor      says what this host offers guests, and how to improve it
              completion  makes shells complete commands and names (torte completion --help)
              help        shows this, or with a command's name its options
              version     shows the version
            """;

    /** The commands for people, as they are listed. */
    static final Map<String, Supplier<Callable<Integer>>> COMMANDS = new LinkedHashMap<>();

    static {
        COMMANDS.put("run", RunCommand::new);
        COMMANDS.put("control", ControlCommand::new);
        COMMANDS.put("demo", DemoCommand::new);
        COMMANDS.put("vhd", VhdCommand::new);
        COMMANDS.put("image", ImageCommand::new);
        COMMANDS.put("service", ServiceCommand::new);
        COMMANDS.put("vm", VmCommand::new);
        COMMANDS.put("adapter", AdapterCommand::new);
        COMMANDS.put("switch", SwitchCommand::new);
        COMMANDS.put("checkpoint", CheckpointCommand::new);
        COMMANDS.put("task", TaskCommand::new);
        COMMANDS.put("event", EventCommand::new);
        COMMANDS.put("host", HostCommand::new);
        COMMANDS.put("token", TokenCommand::new);
        COMMANDS.put("doctor", DoctorCommand::new);
        COMMANDS.put("completion", CompletionCommand::new);
    }

    /** Those that Torte starts itself. */
    private static final Map<String, Supplier<Callable<Integer>>> PROCESSES =
            Map.of("worker", WorkerCommand::new, "switch-process", SwitchProcessCommand::new);

    private Torte() {}

    /** Runs a command and ends the process with its status. */
    public static void main(String[] arguments) {
        int status;
        try {
            status = run(arguments);
        } catch (Throwable e) {
            status = reportInternal(e);
        }
        status = written(status);
        System.err.flush();
        System.exit(status);
    }

    static int run(String... arguments) {
        if (arguments.length == 0) {
            System.err.print(USAGE);
            return ExitStatus.USAGE;
        }
        String[] rest = Arrays.copyOfRange(arguments, 1, arguments.length);
        Supplier<Callable<Integer>> command = COMMANDS.getOrDefault(arguments[0], PROCESSES.get(arguments[0]));
        if (command != null) {
            return execute(command.get(), rest);
        }
        return switch (arguments[0]) {
            case "help", "--help", "-h" -> help(rest);
            case "version", "--version", "-V" -> {
                if (rest.length > 0) {
                    yield complain(new UsageException("torte version takes no arguments; leave them out"));
                }
                System.out.println("torte " + Version.TEXT);
                yield ExitStatus.OK;
            }
            default -> noCommand(arguments[0]);
        };
    }

    private static int help(String[] rest) {
        if (rest.length == 0) {
            System.out.print(USAGE);
            return ExitStatus.OK;
        }
        // Of a command, or of one below another, such as vm new.
        String[] shown = Arrays.copyOf(rest, rest.length + 1);
        shown[rest.length] = "--help";
        return COMMANDS.containsKey(rest[0]) ? run(shown) : noCommand(rest[0]);
    }

    private static int noCommand(String name) {
        return complain(new UsageException("there is no command \"" + name + "\"; torte help lists them"));
    }

    private static int execute(Callable<Integer> command, String[] arguments) {
        CommandLine line = new CommandLine(command);
        line.setParameterExceptionHandler((e, _) -> {
            String cause = cause(e);
            String name = e.getCommandLine().getCommandSpec().qualifiedName();
            System.err.println(name + ": " + printable(cause) + "; see " + name + " --help");
            return ExitStatus.USAGE;
        });
        line.setExecutionExceptionHandler((e, _, _) -> switch (e) {
            case UsageException _,
                    NetworkException _,
                    InputException _,
                    BootException _,
                    StateException _,
                    HypervisorException _,
                    DiskException _,
                    Problem _ -> complain(e);
            default -> reportInternal(e);
        });
        // "--append -x" is a value, not an option; "--" must not surprise either.
        line.setOverwrittenOptionsAllowed(false);
        return line.execute(arguments);
    }

    /** What is wrong with a command line, in words that are not those of a library for Java. */
    private static String cause(CommandLine.ParameterException e) {
        if (e instanceof CommandLine.UnmatchedArgumentException unmatched && !unmatched.isUnknownOption()) {
            String word = unmatched.getUnmatched().getFirst();
            return e.getCommandLine().getSubcommands().isEmpty()
                    ? "\"" + word + "\" is one argument too many"
                    : "there is no command \"" + word + "\"";
        }
        String message = String.valueOf(e.getMessage()).lines().findFirst().orElse("");
        return message.replaceFirst(" is not an? (?:int|long)$", " is not a whole number");
    }

    /** Whether all of the output has gone where it was to go, told if not. */
    private static int written(int status) {
        if (!System.out.checkError()) {
            return status;
        }
        try (FileOutputStream output = new FileOutputStream(FileDescriptor.out)) {
            output.write('\n');
        } catch (IOException e) {
            if ("Broken pipe".equals(e.getMessage())) {
                return ExitStatus.UNREAD;
            }
            System.err.println("torte: the output cannot be written (" + printable(String.valueOf(e.getMessage()))
                    + "); make room, or send it elsewhere");
        }
        return status == ExitStatus.OK ? ExitStatus.INTERNAL : status;
    }

    /** Tells the user about an error of his own and gives its status. */
    static int complain(Exception e) {
        System.err.println("torte: " + printable(String.valueOf(e.getMessage())));
        return ExitStatus.USAGE;
    }

    /** Tells the user about an error of Torte's and gives its status. */
    static int reportInternal(Throwable e) {
        var log = ErrorLog.append(e);
        System.err.println("torte: internal error (" + printable(e.toString()) + "); "
                + (log == null ? "its details could not be logged" : "please report it with the details in " + log));
        return ExitStatus.INTERNAL;
    }

    /** One line, without control characters, whatever file names and arguments hold. */
    private static String printable(String text) {
        StringBuilder line = new StringBuilder(text.length());
        text.codePoints().forEach(c -> line.appendCodePoint(Character.isISOControl(c) ? '?' : c));
        return line.toString();
    }
}
