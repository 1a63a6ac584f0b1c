package org.torte.cli.management;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import org.torte.cli.HostTerminal;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

@Command(
        name = "connect",
        description = {
            "Connects this terminal with the console of a virtual machine. Ctrl-A x leaves it, and the machine goes on;",
            "Ctrl-A h shows the keys. Several may be connected at once."
        },
        sortOptions = false)
final class VmConnectCommand extends ServiceOptions {
    @Parameters(index = "0", paramLabel = "VM", description = "its name or its id")
    String name = "";

    @Override
    public Integer call() throws IOException {
        JsonNode vm = service().get("/api/v1/vms/" + ServiceClient.segment(name));
        boolean left = new ConsoleSession(vm).run(ConsoleSession.connect(vm), HostTerminal.find());
        System.err.println(
                left
                        ? "\ntorte: left; the machine goes on"
                        : "\ntorte: the machine has ended; see torte vm get " + name);
        return 0;
    }
}
