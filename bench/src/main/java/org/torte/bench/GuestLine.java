package org.torte.bench;

import java.io.IOException;
import java.time.Duration;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.torte.worker.Statistics;
import org.torte.worker.VirtualMachine;

/** A guest's console, whoever runs the guest, and what running it has cost. */
interface GuestLine extends AutoCloseable {
    /** How long any answer of a guest may take. */
    Duration PATIENCE = Duration.ofMinutes(20);

    void type(String text) throws IOException;

    /** What the guest printed up to and with this; what has been returned once is not looked at again. */
    String waitFor(Pattern pattern) throws Exception;

    /** Exits so far, or -1. */
    long exits();

    /** The process that runs the guest. */
    ProcessHandle process();

    /** Seconds of the host's processors that it has used: what a busy host does not change much. */
    default double processorTime() {
        return process().info().totalCpuDuration().orElse(Duration.ZERO).toNanos() / 1e9;
    }

    /** Lets the guest's shell do something and waits for its end. */
    default void run(String command) throws Exception {
        seconds(command);
    }

    /** The seconds that something took by the guest's own clock, 0.01 at least. */
    default double seconds(String command) throws Exception {
        type("a=$(cut -d' ' -f1 /proc/uptime); " + command + "; b=$(cut -d' ' -f1 /proc/uptime); echo \"=\"T $a $b\n");
        Matcher times = find("=T ([0-9.]+) ([0-9.]+)\\s");
        return Math.max(Double.parseDouble(times.group(2)) - Double.parseDouble(times.group(1)), 0.01);
    }

    /** Waits for a text and gives its groups. */
    default Matcher find(String pattern) throws Exception {
        Pattern compiled = Pattern.compile(pattern);
        Matcher found = compiled.matcher(waitFor(compiled));
        if (!found.find()) {
            throw new IllegalStateException("the guest did not print " + pattern);
        }
        return found;
    }

    @Override
    void close() throws IOException;

    /** A machine of this process. */
    record Torte(VirtualMachine machine) implements GuestLine {
        @Override
        public void type(String text) {
            machine.console().type(text);
        }

        @Override
        public String waitFor(Pattern pattern) throws Exception {
            return machine.console().waitForText(pattern, PATIENCE);
        }

        @Override
        public long exits() {
            Statistics now = machine.statistics();
            return now.portReads()
                    + now.portWrites()
                    + now.memoryReads()
                    + now.memoryWrites()
                    + now.msrReads()
                    + now.msrWrites();
        }

        @Override
        public ProcessHandle process() {
            return ProcessHandle.current();
        }

        @Override
        public void close() {
            machine.close();
        }
    }
}
