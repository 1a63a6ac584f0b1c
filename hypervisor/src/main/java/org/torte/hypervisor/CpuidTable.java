package org.torte.hypervisor;

import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * What CPUID shows, as the machine decided it: leaf and sub-leaf to EAX, EBX, ECX, EDX. The back-end fills in only what
 * depends on the processor or its state: APIC ids (leaf 1 EBX, leaf 0xB EDX, leaf 0x8000001E), OSXSAVE and OSPKE, and
 * the size of the enabled XSAVE area (leaf 0xD sub-leaf 0 EBX). Unknown leaves read as the highest basic leaf does on
 * Intel's and as zeroes on AMD's processors; here as zeroes. Immutable and safe for several threads.
 */
public final class CpuidTable {
    /** The four registers of one answer. */
    public record Registers(int eax, int ebx, int ecx, int edx) {
        static final Registers ZERO = new Registers(0, 0, 0, 0);
    }

    private final Map<Long, Registers> entries;

    private CpuidTable(Map<Long, Registers> entries) {
        this.entries = Map.copyOf(entries);
    }

    /** The answer for a leaf and sub-leaf; leaves without sub-leaves answer the same for all of them. */
    public Registers get(int leaf, int subleaf) {
        Registers exact = entries.get(key(leaf, subleaf));
        if (exact != null) {
            return exact;
        }
        Registers any = entries.get(key(leaf, ANY));
        return any == null ? Registers.ZERO : any;
    }

    /**
     * One answer.
     *
     * @param leaf what is asked in EAX
     * @param subleaf what is asked in ECX, or -1 when that does not matter
     * @param registers the answer
     */
    public record Entry(int leaf, int subleaf, Registers registers) {}

    /** All answers but zeroes, in the order of leaves and sub-leaves. */
    public List<Entry> entries() {
        return entries.entrySet().stream()
                .map(e -> new Entry((int) (e.getKey() >>> 32), e.getKey().intValue(), e.getValue()))
                .sorted(Comparator.comparing(Entry::leaf, Integer::compareUnsigned)
                        .thenComparing(Entry::subleaf, Integer::compareUnsigned))
                .toList();
    }

    private static final int ANY = -1;

    private static long key(int leaf, int subleaf) {
        return (long) leaf << 32 | subleaf & 0xffffffffL;
    }

    /** Collects the leaves of a table. */
    public static final class Builder {
        private final Map<Long, Registers> entries = new LinkedHashMap<>();

        /** Sets a leaf that has no sub-leaves. */
        public Builder leaf(int leaf, int eax, int ebx, int ecx, int edx) {
            entries.put(key(leaf, ANY), new Registers(eax, ebx, ecx, edx));
            return this;
        }

        /** Sets one sub-leaf; sub-leaves of the same leaf that are not set read as zeroes. */
        public Builder subleaf(int leaf, int subleaf, int eax, int ebx, int ecx, int edx) {
            entries.put(key(leaf, subleaf), new Registers(eax, ebx, ecx, edx));
            return this;
        }

        /** The finished table. */
        public CpuidTable build() {
            return new CpuidTable(entries);
        }
    }
}
