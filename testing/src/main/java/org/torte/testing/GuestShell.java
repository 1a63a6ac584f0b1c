package org.torte.testing;

import java.time.Duration;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.torte.worker.Console;
import org.torte.worker.TextNotFoundException;

/**
 * The shell on a guest's serial console, to which commands are given one after the other. A command's output is what
 * stands between two marks with its number, so that echo, prompts and messages around it do not matter. For one thread.
 */
public final class GuestShell {
    private final Console console;
    private final Duration patience;
    private int commands;

    /**
     * What a command did.
     *
     * @param status its exit status
     * @param output what it printed, without the last line's end; lines end with {@code \n}
     */
    public record Result(int status, String output) {}

    private GuestShell(Console console, Duration patience) {
        this.console = console;
        this.patience = patience;
    }

    /**
     * Waits for the shell's prompt, keeps the kernel's messages out of what commands print, and gives the shell.
     *
     * @param prompt what the shell prints when it takes commands
     * @param patience how long this and each command may take
     * @throws AssertionError with all that was printed, when there is no prompt in time
     */
    public static GuestShell await(Console console, String prompt, Duration patience) {
        GuestShell shell = new GuestShell(console, patience);
        shell.waitFor(Pattern.compile(Pattern.quote(prompt)));
        shell.run("dmesg -n 1");
        return shell;
    }

    /** Goes on with a shell whose prompt has been seen, as after the machine was restored. */
    public static GuestShell of(Console console, Duration patience) {
        return new GuestShell(console, patience);
    }

    /**
     * Runs a command in the shell itself and waits for its end.
     *
     * @throws AssertionError with all that was printed, when it takes too long
     */
    public Result run(String command) {
        begin(command);
        return end();
    }

    /** The output of a command that must succeed. */
    public String output(String command) {
        Result result = run(command);
        if (result.status() != 0) {
            throw new AssertionError(command + " failed with " + result.status() + ": " + result.output());
        }
        return result.output();
    }

    /**
     * Starts a command and returns at once; {@link #end} waits for it.
     *
     * @param command one line of a few hundred characters; one that stays in the background is written <code>{ ... &amp; }</code>
     */
    public void begin(String command) {
        commands++;
        // The echo of what is typed must not look like the marks.
        console.type("echo '>''>'" + commands + "; " + command + "; echo '<''<'" + commands + ":$?\n");
    }

    /** Waits for the command that was begun last. */
    public Result end() {
        Pattern ended =
                Pattern.compile(">>" + commands + "\\r?\\n(.*?)<<" + commands + ":(\\d+)\\r?\\n", Pattern.DOTALL);
        String text = waitFor(ended);
        Matcher matcher = ended.matcher(text);
        if (!matcher.find()) {
            throw new AssertionError("the mark is gone from " + text);
        }
        return new Result(
                Integer.parseInt(matcher.group(2)),
                matcher.group(1).replace("\r", "").stripTrailing());
    }

    private String waitFor(Pattern pattern) {
        try {
            return console.waitForText(pattern, patience);
        } catch (TextNotFoundException e) {
            throw new AssertionError("the guest has not printed " + pattern + " but:\n" + console.readAvailable(), e);
        }
    }
}
