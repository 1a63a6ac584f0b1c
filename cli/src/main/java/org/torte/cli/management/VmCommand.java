package org.torte.cli.management;

import org.torte.cli.GroupCommand;
import picocli.CommandLine.Command;

/** {@code torte vm}. */
@Command(
        name = "torte vm",
        description = "Makes, shows, changes, starts and stops the virtual machines of this host.",
        sortOptions = false,
        subcommands = {
            VmListCommand.class,
            VmGetCommand.class,
            VmNewCommand.class,
            VmSetCommand.class,
            VmRenameCommand.class,
            VmCloneCommand.class,
            VmExportCommand.class,
            VmImportCommand.class,
            VmRegisterCommand.class,
            VmRemoveCommand.class,
            VmConnectCommand.class,
            VmActionCommand.Start.class,
            VmActionCommand.Stop.class,
            VmActionCommand.Restart.class,
            VmActionCommand.Pause.class,
            VmActionCommand.Resume.class,
            VmActionCommand.Save.class,
            VmActionCommand.Discard.class,
        },
        footer = {
            "",
            "The service that does it is started if it does not run. What takes a while is a task; commands wait for its end",
            "unless --no-wait is given.",
            "",
            "Exit status: 0 done, 1 Torte failed, 2 wrong usage, or it could not be done."
        })
public final class VmCommand extends GroupCommand {}
