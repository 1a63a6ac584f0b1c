package org.torte.cli.management;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import org.torte.cli.HostTerminal;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

@Command(
        name = "connect",
        description = {
            "Connects this terminal with the console of a virtual machine. Ctrl-A x leaves it, and the machine goes on;",
            "Ctrl-A h shows the keys. Several may be connected at once."
        },
        sortOptions = false)
final class VmConnectCommand extends ServiceOptions {
    @Mixin
    VmParameter vm = new VmParameter();

    @Override
    public Integer call() throws IOException {
        JsonNode now = service().get(vm.path());
        boolean left = new ConsoleSession(now).run(ConsoleSession.connect(now), HostTerminal.find());
        System.err.println(
                left
                        ? "\ntorte: left; the machine goes on"
                        : "\ntorte: the machine has ended; see torte vm get " + vm.name());
        return 0;
    }
}
