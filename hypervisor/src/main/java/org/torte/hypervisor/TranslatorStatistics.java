package org.torte.hypervisor;

/**
 * What the translator of a software processor has done so far. Counts are sums over all processors and may miss the
 * latest few while those run.
 *
 * @param executed instructions executed in translated code
 * @param blocks blocks translated
 * @param instructions instructions in them
 * @param codeBytes host code that there is now
 * @param invalidated translations dropped because their code had changed
 * @param resets how often all code was dropped because its memory was used up
 * @param missing exits because of an access whose page was not in the soft TLB
 * @param interpreted exits to have one instruction interpreted
 * @param budget exits to look for events
 * @param chained exits at jumps that had not been chained yet
 * @param jumps exits at jumps out of their page that the jump cache did not know
 */
public record TranslatorStatistics(
        long executed,
        long blocks,
        long instructions,
        long codeBytes,
        long invalidated,
        long resets,
        long missing,
        long interpreted,
        long budget,
        long chained,
        long jumps) {}
