package org.torte.machine.acpi;

import java.util.ArrayList;
import java.util.List;
import org.torte.base.GuestMemory;
import org.torte.machine.MemoryMap;
import org.torte.machine.chipset.IntervalTimer;
import org.torte.machine.chipset.PowerManagement;
import org.torte.machine.chipset.RealTimeClock;
import org.torte.machine.chipset.ResetPorts;

/** All tables of a machine and their places in its memory. Immutable. */
public final class AcpiTables {
    private static final int RSDP_LENGTH = 36, FACS_LENGTH = 64;
    private static final int ALIGNMENT = 64;
    private static final int TIMER_LINE = 2;
    private static final int LAST_APIC_ID = 254;

    /** A table and its guest-physical address. */
    static final class Placed {
        final String signature;
        final long address;
        final byte[] bytes;

        private Placed(String signature, long address, byte[] bytes) {
            this.signature = signature;
            this.address = address;
            this.bytes = bytes;
        }
    }

    private final List<Placed> tables = new ArrayList<>();
    private long free = MemoryMap.ACPI_BASE;

    /**
     * Builds the tables.
     *
     * @param processors how many
     * @param devices further terms for the scope {@code \_SB}, from other parts of the machine
     */
    public AcpiTables(int processors, List<byte[]> devices) {
        long rsdp = reserve(RSDP_LENGTH);
        long facs = place("FACS", facs());
        long dsdt = place("DSDT", dsdt(processors, devices));
        long fadt = place("FACP", fadt(facs, dsdt));
        long madt = place("APIC", madt(processors));
        long waet = place("WAET", waet());
        TableWriter xsdt = new TableWriter("XSDT", 1);
        xsdt.int64(fadt).int64(madt).int64(waet);
        long xsdtAddress = place("XSDT", xsdt.finish());
        tables.addFirst(new Placed("RSD PTR ", rsdp, rsdp(xsdtAddress)));
    }

    /** The address of the root pointer. */
    public long rsdp() {
        return tables.getFirst().address;
    }

    /** The tables, the root pointer first. */
    List<Placed> tables() {
        return List.copyOf(tables);
    }

    /** Puts the tables into guest memory. */
    public void write(GuestMemory memory) {
        for (Placed table : tables) {
            memory.write(table.address, table.bytes, 0, table.bytes.length);
        }
    }

    private long place(String signature, byte[] table) {
        long address = reserve(table.length);
        tables.add(new Placed(signature, address, table));
        return address;
    }

    private long reserve(int length) {
        long address = free;
        free = free + length + ALIGNMENT - 1 & -ALIGNMENT;
        if (free > MemoryMap.ACPI_BASE + MemoryMap.ACPI_SIZE) {
            throw new IllegalStateException("the ACPI tables do not fit");
        }
        return address;
    }

    /** Root system description pointer (5.2.5.3); there is no RSDT. */
    private static byte[] rsdp(long xsdt) {
        return new TableWriter()
                .text("RSD PTR ", 8)
                .int8(0)
                .text("TORTE ", 6)
                .int8(2)
                .int32(0)
                .int32(RSDP_LENGTH)
                .int64(xsdt)
                .int32(0)
                .checksum(8, 20)
                .checksum(32, RSDP_LENGTH)
                .raw();
    }

    /** Firmware ACPI control structure (5.2.10). */
    private static byte[] facs() {
        return new TableWriter()
                .text("FACS", 4)
                .int32(FACS_LENGTH)
                .zeroes(24)
                .int8(2)
                .zeroes(31)
                .raw();
    }

    /** Fixed ACPI description table (5.2.9). */
    private static byte[] fadt(long facs, long dsdt) {
        int event = PowerManagement.BASE + PowerManagement.PM1_EVENT;
        int control = PowerManagement.BASE + PowerManagement.PM1_CONTROL;
        int timer = PowerManagement.BASE + PowerManagement.TIMER;
        int general = PowerManagement.BASE + PowerManagement.GPE0;
        // WBINVD works, C1 on all processors, no fixed sleep button, no wake by the clock, 32-bit timer, reset
        // register.
        int flags = 1 | 1 << 2 | 1 << 5 | 1 << 6 | 1 << 8 | 1 << 10;
        // Devices on ISA ports exist; no keyboard controller; no VGA (5.2.9.3).
        int bootFlags = 1 | 1 << 2;
        return new TableWriter("FACP", 6)
                .int32(facs)
                .int32(dsdt)
                .int8(0)
                .int8(4) // an enterprise server
                .int16(PowerManagement.INTERRUPT)
                .int32(0) // no SMI command port: always in ACPI mode
                .int32(0)
                .int32(event)
                .int32(0)
                .int32(control)
                .int32(0)
                .int32(0)
                .int32(timer)
                .int32(general)
                .int32(0)
                .int8(4)
                .int8(2)
                .int8(0)
                .int8(4)
                .int8(PowerManagement.GPE0_LENGTH)
                .int8(0)
                .int8(0)
                .int8(0)
                .int16(0xffff) // no C2
                .int16(0xffff) // no C3
                .int16(0)
                .int16(0)
                .int8(0)
                .int8(0)
                .int8(0)
                .int8(0)
                .int8(RealTimeClock.CENTURY)
                .int16(bootFlags)
                .int8(0)
                .int32(flags)
                .port(ResetPorts.RESET_PORT, 8, 1)
                .int8(ResetPorts.RESET_VALUE)
                .int16(0)
                .int8(3)
                .int64(0)
                .int64(dsdt)
                .port(event, 32, 2)
                .port(0, 0, 0)
                .port(control, 16, 2)
                .port(0, 0, 0)
                .port(0, 0, 0)
                .port(timer, 32, 3)
                .port(general, 8 * PowerManagement.GPE0_LENGTH, 1)
                .port(0, 0, 0)
                .port(0, 0, 0)
                .port(0, 0, 0)
                .int64(0)
                .finish();
    }

    /** Multiple APIC description table (5.2.12). */
    private static byte[] madt(int processors) {
        TableWriter out = new TableWriter("APIC", 5);
        out.int32(MemoryMap.LOCAL_APIC_BASE).int32(1); // there are 8259s, too
        for (int id = 0; id < processors; id++) {
            if (id <= LAST_APIC_ID) {
                out.int8(0).int8(8).int8(id).int8(id).int32(1);
            } else {
                out.int8(9).int8(16).int16(0).int32(id).int32(1).int32(id);
            }
        }
        out.int8(1).int8(12).int8(0).int8(0).int32(MemoryMap.IOAPIC_BASE).int32(0);
        out.int8(2).int8(10).int8(0).int8(0).int32(TIMER_LINE).int16(0);
        // Active high, level-triggered.
        out.int8(2)
                .int8(10)
                .int8(0)
                .int8(PowerManagement.INTERRUPT)
                .int32(PowerManagement.INTERRUPT)
                .int16(0xd);
        out.int8(4).int8(6).int8(0xff).int16(0).int8(1); // NMI on LINT1 of every processor
        return out.finish();
    }

    /** Windows ACPI emulated devices table: clock and timer need no workarounds for real chips. */
    private static byte[] waet() {
        return new TableWriter("WAET", 1).int32(3).finish();
    }

    private static byte[] dsdt(int processors, List<byte[]> devices) {
        List<byte[]> terms = new ArrayList<>();
        for (int id = 0; id < processors; id++) {
            terms.add(Aml.device(
                    "C%03X".formatted(id),
                    Aml.name("_HID", Aml.string("ACPI0007")),
                    Aml.name("_UID", Aml.integer(id))));
        }
        terms.add(serial("COM1", 1, 0x3f8, 4));
        terms.add(serial("COM2", 2, 0x2f8, 3));
        terms.add(device("RTC", "PNP0B00", Aml.ports(RealTimeClock.BASE, RealTimeClock.PORTS), Aml.interrupt(8)));
        terms.add(device("TIMR", "PNP0100", Aml.ports(IntervalTimer.BASE, IntervalTimer.PORTS), Aml.interrupt(0)));
        terms.add(device("PIC", "PNP0000", Aml.ports(0x20, 2), Aml.ports(0xa0, 2), Aml.ports(0x4d0, 2)));
        terms.add(device(
                "MBRD",
                "PNP0C02",
                Aml.ports(PowerManagement.BASE, PowerManagement.PORTS),
                Aml.ports(0x61, 1),
                Aml.ports(0x92, 1),
                Aml.ports(ResetPorts.RESET_PORT, 1),
                Aml.memory(MemoryMap.IOAPIC_BASE, MemoryMap.IOAPIC_SIZE),
                Aml.memory(MemoryMap.LOCAL_APIC_BASE, MemoryMap.LOCAL_APIC_SIZE),
                Aml.memory(MemoryMap.FLASH_BASE, MemoryMap.FLASH_SIZE)));
        terms.addAll(devices);
        byte[] softOff = Aml.packageOf(
                Aml.integer(PowerManagement.SOFT_OFF),
                Aml.integer(PowerManagement.SOFT_OFF),
                Aml.integer(0),
                Aml.integer(0));
        return new TableWriter("DSDT", 2)
                .bytes(Aml.scope("\\_SB", terms.toArray(byte[][]::new)))
                .bytes(Aml.name("\\_S5", softOff))
                .finish();
    }

    private static byte[] serial(String name, int number, int port, int line) {
        return Aml.device(
                name,
                Aml.name("_HID", Aml.eisaId("PNP0501")),
                Aml.name("_UID", Aml.integer(number)),
                Aml.name("_CRS", Aml.resources(Aml.ports(port, 8), Aml.interrupt(line))));
    }

    private static byte[] device(String name, String id, byte[]... resources) {
        return Aml.device(name, Aml.name("_HID", Aml.eisaId(id)), Aml.name("_CRS", Aml.resources(resources)));
    }
}
