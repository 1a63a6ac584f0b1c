package org.torte.cli;

import picocli.CommandLine.Option;

/** What shows how a command is used, for each that stands below no other. */
public final class HelpOption {
    @Option(
            names = {"-h", "--help"},
            usageHelp = true,
            description = "shows this help")
    boolean help;
}
