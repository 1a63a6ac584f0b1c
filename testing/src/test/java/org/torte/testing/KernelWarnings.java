package org.torte.testing;

import java.util.regex.Pattern;

/** What stock kernels warn of on each such machine, here as on other hypervisors. */
final class KernelWarnings {
    /**
     * No PCI, which a machine of the second generation need not have; no table of performance levels, which kernels since
     * 6.11 look for on all processors of AMD; a timer's interrupt that took long because the host was busy.
     */
    private static final String EVERYWHERE = "PCI: (Fatal: No config space|System does not support PCI)"
            + "|amd_pstate: the _CPC object is not present|hrtimer: interrupt took";

    /**
     * The command line of test guests: a busy host may let a processor stand for longer than the 20 seconds after which
     * the kernel calls it stuck.
     */
    static final String COMMAND_LINE = "console=ttyS0 quiet watchdog_thresh=60";

    /** A command for the guest's shell that prints the other warnings; those of a busy host's timers do not count. */
    static final String SHOWN = "dmesg -r | grep '^<[0-4]>' | grep -v -e PCI -e amd_pstate -e 'suspect GRO'"
            + " -e 'hrtimer: interrupt took' || true";

    private KernelWarnings() {}

    /** Matches the lines that may come everywhere, and those that a test expects besides. */
    static Pattern harmless(String besides) {
        return Pattern.compile(EVERYWHERE + "|" + besides);
    }
}
