package org.torte.cli.image;

import java.util.concurrent.Callable;
import org.torte.cli.GroupCommand;
import org.torte.cli.UsageException;
import picocli.CommandLine.Command;

/** {@code torte image}. */
@Command(
        name = "torte image",
        description = "Makes disks with guests on them from the packages of a distribution.",
        sortOptions = false,
        subcommands = {ImageCommand.BuildCommand.class})
public final class ImageCommand extends GroupCommand {
    /** {@code torte image build}. */
    @Command(
            name = "build",
            description = "Makes a disk with a guest.",
            sortOptions = false,
            subcommands = {TinyCommand.class, DebianCommand.class})
    static final class BuildCommand implements Callable<Integer> {
        @Override
        public Integer call() {
            throw new UsageException("say which guest: tiny or debian; torte image build --help says more");
        }
    }
}
