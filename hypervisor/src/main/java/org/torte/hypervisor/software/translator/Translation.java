package org.torte.hypervisor.software.translator;

import org.jspecify.annotations.Nullable;
import org.torte.hypervisor.x86.Instruction;

/**
 * The host code of a block at one linear address. Shared by all processors of a partition; valid as long as the
 * {@link Translator} is in the epoch in which it was made and its page has not been written to.
 */
public final class Translation {
    /** Linear address of the first instruction. */
    public final long rip;

    /** Another translation of the same block, at another address. */
    @Nullable
    public final Translation next;

    /** Whether its instruction goes on into the next page. */
    public final boolean straddles;

    /** Whether it uses XMM registers. */
    public final boolean usesVectors;

    /** Whether it uses the x87. */
    public final boolean usesX87;

    /** Whether it was made for a block that is hot. */
    public final boolean hotBlock;

    /** How often somebody found it executing, as far as somebody counts; races lose counts. */
    public int samples;

    private final @Nullable Instruction[] interpreted;
    private final Translator owner;
    final int epoch;
    final int hot;
    final int hotLength;
    final int chained;
    final int entry;
    final int entryByState;
    final int invalidStub;
    volatile boolean dead;

    Translation(
            Translator owner,
            long rip,
            @Nullable Translation next,
            int epoch,
            int hot,
            int hotLength,
            int chained,
            int entry,
            int entryByState,
            int invalidStub,
            boolean straddles,
            boolean usesVectors,
            boolean usesX87,
            boolean hotBlock,
            @Nullable Instruction[] interpreted) {
        this.owner = owner;
        this.rip = rip;
        this.next = next;
        this.epoch = epoch;
        this.hot = hot;
        this.hotLength = hotLength;
        this.chained = chained;
        this.entry = entry;
        this.entryByState = entryByState;
        this.invalidStub = invalidStub;
        this.straddles = straddles;
        this.usesVectors = usesVectors;
        this.usesX87 = usesX87;
        this.hotBlock = hotBlock;
        this.interpreted = interpreted;
    }

    /** Whether the entry expects live flags in the state. */
    boolean flagsInState() {
        return entry == entryByState;
    }

    /** The instruction that code at a site was left for, or null if the site does not say; nobody changes it. */
    public @Nullable Instruction instruction(Site site) {
        int index = (int) site.target;
        return site.kind == Site.INTERPRET && index < interpreted.length ? interpreted[index] : null;
    }

    /** Makes every processor that comes to it leave: the guest's code has changed. Any thread. */
    public void invalidate() {
        owner.invalidate(this);
    }
}
