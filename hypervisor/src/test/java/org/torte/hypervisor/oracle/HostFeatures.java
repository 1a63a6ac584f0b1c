package org.torte.hypervisor.oracle;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.EnumSet;
import java.util.Set;
import org.torte.hypervisor.CpuidTable;
import org.torte.hypervisor.x86.Feature;

/** What the processor of this machine offers, as CPUID tells the oracle's process. */
public final class HostFeatures {
    private static final int HWCAP2 = 26, HWCAP2_FSGSBASE = 2;

    private final String vendor;
    private final Set<Feature> features = EnumSet.noneOf(Feature.class);

    /** Asks this processor. */
    public HostFeatures(HostProcessor host) throws IOException {
        CpuidTable.Builder table = new CpuidTable.Builder();
        int[] leaves = {0, 1, 7, 0xD, 0x8000_0001, 0x8000_0008};
        for (int i = 0; i < leaves.length; i++) {
            CaseRecord record = host.record(i);
            record.input().fill((byte) 0);
            record.setSelector(CaseRecord.CS, AddressSpace.FLAT_CODE_64);
            record.setSelector(CaseRecord.SS, AddressSpace.FLAT_DATA);
            record.setFlags(0x202);
            record.setRegister(0, leaves[i] & 0xFFFF_FFFFL);
            record.setRegister(1, leaves[i] == 0xD ? 1 : 0);
            record.setCode(CaseRecord.CODE, new byte[] {0x0F, (byte) 0xA2});
        }
        host.run(leaves.length);
        ByteBuffer name = ByteBuffer.allocate(12).order(ByteOrder.LITTLE_ENDIAN);
        CaseRecord first = host.record(0);
        name.putInt((int) first.registerAfter(3));
        name.putInt((int) first.registerAfter(2)).putInt((int) first.registerAfter(1));
        vendor = new String(name.array(), java.nio.charset.StandardCharsets.US_ASCII);
        for (int i = 0; i < leaves.length; i++) {
            CaseRecord record = host.record(i);
            int[] r = new int[4];
            for (int n = 0; n < 4; n++) {
                r[n] = (int) record.registerAfter(n);
            }
            table.subleaf(leaves[i], leaves[i] == 0xD ? 1 : 0, r[0], r[3], r[1], r[2]);
        }
        CpuidTable cpuid = table.build();
        for (Feature feature : Feature.values()) {
            if (feature.in(cpuid)) {
                features.add(feature);
            }
        }
        if (!userMayReadBases()) {
            features.remove(Feature.FSGSBASE);
        }
    }

    /** Whether an instruction of this feature can be asked about. */
    public boolean has(Feature feature) {
        return features.contains(feature);
    }

    /** Whether AMD (or Hygon) made it: what makers differ in can be compared with the processor models here. */
    public boolean isAmd() {
        return vendor.equals("AuthenticAMD") || vendor.equals("HygonGenuine");
    }

    /** Whether the kernel lets user code execute RDFSBASE and its relatives (ELF auxiliary vector). */
    static boolean userMayReadBases() throws IOException {
        ByteBuffer vector =
                ByteBuffer.wrap(Files.readAllBytes(Path.of("/proc/self/auxv"))).order(ByteOrder.LITTLE_ENDIAN);
        while (vector.remaining() >= 16) {
            long key = vector.getLong();
            long value = vector.getLong();
            if (key == HWCAP2) {
                return (value & HWCAP2_FSGSBASE) != 0;
            }
        }
        return false;
    }
}
