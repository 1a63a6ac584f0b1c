package org.torte.cli.output;

import picocli.CommandLine.Option;

/** Whether a command shows what it has found to people or to programs. */
public final class OutputOption {
    @Option(
            names = {"-o", "--output"},
            paramLabel = "text|json",
            converter = Output.Named.class,
            description = "text (the default) or json")
    private Output output = Output.TEXT;

    /** Whether a program reads it. */
    public boolean json() {
        return output == Output.JSON;
    }

    /** Prints one of two forms of a result. */
    public void show(Object json, String text) {
        System.out.print(json() ? Json.of(json) : text);
    }
}
