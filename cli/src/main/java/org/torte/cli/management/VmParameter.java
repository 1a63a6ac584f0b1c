package org.torte.cli.management;

import org.torte.cli.output.Output;
import picocli.CommandLine.Parameters;

/** The virtual machine that a command is about. */
final class VmParameter {
    @Parameters(index = "0", paramLabel = "VM", description = "the name or id of the virtual machine")
    private String name = "";

    /** As it was given, for people. */
    String name() {
        return Output.printable(name);
    }

    /** Where the service has it. */
    String path() {
        return "/api/v1/vms/" + ServiceClient.segment(name);
    }

    /** Where the service has something of it. */
    String path(String below) {
        return path() + "/" + below;
    }
}
