package org.torte.management.definition;

import com.fasterxml.jackson.annotation.JsonProperty;
import org.jspecify.annotations.Nullable;

/**
 * How much of a machine's RAM its guest has while it runs, which follows what the guest needs. The RAM that the machine is
 * made with is the most; what the guest does not need goes back to the host.
 *
 * @param minimum what the guest has at least, in bytes: a multiple of 1 MiB, 2 MiB up to {@code startup}
 * @param startup what it has until it has told its need, in bytes: a multiple of 1 MiB, up to the RAM of the machine
 * @param buffer what it has beyond its need, in percent of that, {@value #LEAST_BUFFER} to {@value #MOST_BUFFER}
 */
public record DynamicMemory(
        @JsonProperty(required = true) long minimum,
        @JsonProperty(required = true) long startup,
        @JsonProperty(required = true) int buffer) {
    /** The buffer if none is given, in percent. */
    public static final int USUAL_BUFFER = 20;

    private static final int LEAST_BUFFER = 5, MOST_BUFFER = 2000;
    private static final long MIB = 1 << 20;

    /** Refuses what cannot be. */
    public DynamicMemory {
        if (minimum < 2 * MIB || minimum % MIB != 0) {
            throw VmDefinition.invalid(
                    "dynamicMemory.minimum is " + minimum + " bytes", "give a multiple of 1 MiB from 2 MiB on");
        }
        if (startup < minimum || startup % MIB != 0) {
            throw VmDefinition.invalid(
                    "dynamicMemory.startup is " + startup + " bytes, and the minimum is " + minimum,
                    "give a multiple of 1 MiB from the minimum on");
        }
        if (buffer < LEAST_BUFFER || buffer > MOST_BUFFER) {
            throw VmDefinition.invalid(
                    "dynamicMemory.buffer is " + buffer, "give " + LEAST_BUFFER + " to " + MOST_BUFFER + " percent");
        }
    }

    /** Refuses what does not fit into the RAM of a machine, in bytes. */
    DynamicMemory within(long memory) {
        if (startup > memory) {
            throw VmDefinition.invalid(
                    "dynamicMemory.startup is " + startup + " bytes, and the machine has " + memory,
                    "give it more memory, which is what it can have at most, or a smaller startup");
        }
        return this;
    }

    /**
     * What somebody wants of it; what is not given stays, or is as usual.
     *
     * @param enabled whether the guest's memory follows its need; true if anything else is given
     * @param minimum needed the first time
     * @param startup all of the machine's RAM if it is not given the first time
     * @param buffer {@value #USUAL_BUFFER} if it is not given the first time
     */
    public record Wish(
            @Nullable Boolean enabled,
            @Nullable Long minimum,
            @Nullable Long startup,
            @Nullable Integer buffer) {
        /**
         * What comes of it.
         *
         * @param old what there was; nothing if the guest had all of its memory
         * @param memory the RAM of the machine, in bytes
         */
        public @Nullable DynamicMemory apply(@Nullable DynamicMemory old, long memory) {
            boolean nothing = minimum == null && startup == null && buffer == null;
            if (enabled != null && !enabled) {
                if (!nothing) {
                    throw VmDefinition.invalid(
                            "dynamicMemory is given and not enabled", "leave out enabled, or everything else");
                }
                return null;
            }
            if (old == null && minimum == null) {
                throw VmDefinition.invalid("dynamicMemory has no minimum", "say what the guest is to have at least");
            }
            return new DynamicMemory(
                    minimum != null ? minimum : old == null ? memory : old.minimum(),
                    startup != null ? startup : old == null ? memory : old.startup(),
                    buffer != null ? buffer : old == null ? USUAL_BUFFER : old.buffer());
        }
    }
}
