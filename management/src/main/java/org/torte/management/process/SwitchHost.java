package org.torte.management.process;

import java.util.List;
import java.util.Map;
import org.torte.network.process.ConfigurationProblem;
import org.torte.network.process.NetworkConfiguration;

/** Who has the switches. Safe for several threads; throws a {@link org.torte.management.Problem} for what cannot be done. */
public interface SwitchHost {
    /** Says what there is to be from the next {@link #start} or {@link #reload} on; it is on the disk on return. */
    void configure(NetworkConfiguration configuration);

    /** Starts it, unless it runs. */
    void start();

    /** Whether it runs. */
    boolean runs();

    /** Makes the configuration true; tells what of it cannot be. */
    List<ConfigurationProblem> reload();

    /** What there is, as docs/management.md describes it. */
    Map<?, ?> status();
}
