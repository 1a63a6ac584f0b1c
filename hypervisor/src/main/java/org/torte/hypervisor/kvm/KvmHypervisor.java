package org.torte.hypervisor.kvm;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.torte.hypervisor.CpuidTable;
import org.torte.hypervisor.Hypervisor;
import org.torte.hypervisor.HypervisorException;
import org.torte.hypervisor.Partition;
import org.torte.hypervisor.PartitionConfiguration;

/** The back-end on the host's own virtualisation. */
public final class KvmHypervisor implements Hypervisor {
    /** A word of CPUID whose bits are features: leaf, sub-leaf, register from EAX (0) to EDX (3). */
    private record FeatureWord(int leaf, int subleaf, int register) {}

    private static final List<FeatureWord> FEATURE_WORDS = List.of(
            new FeatureWord(1, 0, 2),
            new FeatureWord(1, 0, 3),
            new FeatureWord(7, 0, 1),
            new FeatureWord(7, 0, 2),
            new FeatureWord(7, 0, 3),
            new FeatureWord(0xd, 1, 0),
            new FeatureWord(0x8000_0001, 0, 2),
            new FeatureWord(0x8000_0001, 0, 3),
            new FeatureWord(0x8000_0008, 0, 1),
            new FeatureWord(0x8000_0021, 0, 0),
            new FeatureWord(0x8000_0021, 0, 2));

    /** Bits of leaf 1 that say what surrounds the processor: a hypervisor, several threads. */
    private static final int HYPERVISOR_PRESENT = 1 << 31, HYPER_THREADING = 1 << 28;

    /** CmpLegacy in leaf 0x80000001 ECX, as HYPER_THREADING. */
    private static final int CORES_LEGACY = 1 << 1;

    @Override
    public String name() {
        return "kvm";
    }

    @Override
    public long tscFrequency() {
        try (KvmDevice device = KvmDevice.open()) {
            return device.tscFrequency();
        }
    }

    @Override
    public CpuidTable restrict(CpuidTable wanted) {
        CpuidTable host;
        try (KvmDevice device = KvmDevice.open()) {
            host = device.supported();
        }
        requireVendor(wanted, host);
        CpuidTable.Builder table = new CpuidTable.Builder();
        for (CpuidTable.Entry entry : wanted.entries()) {
            int subleaf = Math.max(entry.subleaf(), 0);
            int[] r = words(entry.registers());
            int[] offered = words(host.get(entry.leaf(), subleaf));
            for (FeatureWord word : FEATURE_WORDS) {
                if (word.leaf == entry.leaf() && word.subleaf == subleaf) {
                    r[word.register] &= offered[word.register] | free(word);
                }
            }
            if (entry.subleaf() < 0) {
                table.leaf(entry.leaf(), r[0], r[1], r[2], r[3]);
            } else {
                table.subleaf(entry.leaf(), subleaf, r[0], r[1], r[2], r[3]);
            }
        }
        return table.build();
    }

    /** Kernels choose their defences against the processor's leaks by its vendor, so no machine may pretend another. */
    private static void requireVendor(CpuidTable wanted, CpuidTable host) {
        String machine = vendor(wanted);
        String here = vendor(host);
        if (!machine.equals(here)) {
            throw new HypervisorException("the machine's processor is one of " + machine + ", and this host's one of "
                    + here + ": KVM cannot run it here; --hypervisor software can");
        }
    }

    private static String vendor(CpuidTable table) {
        CpuidTable.Registers r = table.get(0, 0);
        byte[] text = ByteBuffer.allocate(12)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putInt(r.ebx())
                .putInt(r.edx())
                .putInt(r.ecx())
                .array();
        return new String(text, StandardCharsets.US_ASCII);
    }

    /** Bits that the machine decides alone. */
    private static int free(FeatureWord word) {
        return switch (word.leaf) {
            case 1 -> word.register == 2 ? HYPERVISOR_PRESENT : HYPER_THREADING;
            case 0x8000_0001 -> word.register == 2 ? CORES_LEGACY : 0;
            default -> 0;
        };
    }

    private static int[] words(CpuidTable.Registers r) {
        return new int[] {r.eax(), r.ebx(), r.ecx(), r.edx()};
    }

    @Override
    public Partition createPartition(PartitionConfiguration configuration) {
        try (KvmDevice device = KvmDevice.open()) {
            if (configuration.processors() > device.maxProcessors()) {
                throw new HypervisorException("this host's KVM runs up to " + device.maxProcessors()
                        + " processors in a machine, not " + configuration.processors() + "; give it fewer");
            }
            return new KvmPartition(device, configuration);
        }
    }
}
