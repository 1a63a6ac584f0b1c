package org.torte.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/** What a command line, run in this process, ended with and printed. */
public record CommandResult(int status, String output, String errors) {
    /** Runs {@code torte} with these arguments. */
    public static CommandResult of(String... line) {
        PrintStream output = System.out;
        PrintStream errors = System.err;
        ByteArrayOutputStream printed = new ByteArrayOutputStream();
        ByteArrayOutputStream complained = new ByteArrayOutputStream();
        System.setOut(new PrintStream(printed, true, StandardCharsets.UTF_8));
        System.setErr(new PrintStream(complained, true, StandardCharsets.UTF_8));
        try {
            int status = Torte.run(Arrays.copyOf(line, line.length));
            return new CommandResult(
                    status, printed.toString(StandardCharsets.UTF_8), complained.toString(StandardCharsets.UTF_8));
        } finally {
            System.setOut(output);
            System.setErr(errors);
        }
    }

    /** It must have done what it was told, without a word on the error stream. */
    public CommandResult assertDone() {
        assertThat(errors).isEmpty();
        assertThat(status).as(output).isEqualTo(ExitStatus.OK);
        return this;
    }

    /** It must have refused with one line that a user can understand. */
    public CommandResult assertWrongUsage() {
        assertThat(status).as(errors).isEqualTo(ExitStatus.USAGE);
        assertThat(errors.lines().toList()).as(errors).hasSize(1);
        assertThat(errors).startsWith("torte").doesNotContain("Exception", "\tat ");
        return this;
    }
}
