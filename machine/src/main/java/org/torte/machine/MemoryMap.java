package org.torte.machine;

import java.util.ArrayList;
import java.util.List;
import org.torte.base.GuestMemory;

/**
 * Where everything is in guest-physical memory.
 *
 * <pre>
 *          0 -     9ffff   RAM
 *      a0000 -     dffff   RAM that is not reported (a PC has video memory and option ROMs here)
 *      e0000 -     fffff   ACPI tables, where the root pointer is looked for (ACPI, "Finding the RSDP on IA-PC Systems")
 *     100000 -             RAM, up to c0000000 at most
 *   c0000000 -  dfffffff   PCI devices with 32-bit addresses
 *   e0000000 -  efffffff   PCI configuration space (ECAM), 256 buses
 *   f0000000 -  fbffffff   VMBus devices with 32-bit addresses
 *   fec00000 -  fec00fff   IOAPIC
 *   fed40000 -  fed44fff   TPM
 *   fee00000 -  feefffff   local APICs, message-signalled interrupts
 *   ff000000 -  ffffffff   firmware flash
 *  100000000 -             the rest of RAM
 * 100000000000 -           devices with 64-bit addresses, 8 TiB
 * </pre>
 */
public final class MemoryMap {
    /** Where reported low RAM ends. */
    public static final long LOW_RAM_END = 0xa0000;

    /** Where the ACPI tables begin, and the most bytes they take. */
    public static final long ACPI_BASE = 0xe0000, ACPI_SIZE = 0x20000;

    /** Where RAM goes on after the area for adapters and firmware. */
    public static final long EXTENDED_RAM = 0x100000;

    /** 32-bit addresses of PCI devices. */
    public static final long PCI_BASE = 0xc000_0000L, PCI_SIZE = 0x2000_0000L;

    /** PCI configuration space, 1 MiB per bus. */
    public static final long ECAM_BASE = 0xe000_0000L, ECAM_SIZE = 0x1000_0000L;

    /** 32-bit addresses of VMBus devices. */
    public static final long VMBUS_BASE = 0xf000_0000L, VMBUS_SIZE = 0xc00_0000L;

    /** The I/O interrupt controller, which belongs to the partition. */
    public static final long IOAPIC_BASE = 0xfec0_0000L, IOAPIC_SIZE = 0x1000;

    /** The trusted platform module. */
    public static final long TPM_BASE = 0xfed4_0000L, TPM_SIZE = 0x5000;

    /** The local interrupt controllers, which belong to the partition. */
    public static final long LOCAL_APIC_BASE = 0xfee0_0000L, LOCAL_APIC_SIZE = 0x10_0000;

    /** Firmware, up to 4 GiB. */
    public static final long FLASH_BASE = 0xff00_0000L, FLASH_SIZE = 0x100_0000;

    /** Devices with 64-bit addresses. */
    public static final long HIGH_BASE = 0x1000_0000_0000L, HIGH_SIZE = 0x800_0000_0000L;

    /** How many bits a guest-physical address has. */
    public static final int PHYSICAL_ADDRESS_BITS = 46;

    private MemoryMap() {}

    /** What firmware would tell an operating system about {@code memory} (E820), lowest first. */
    public static List<MemoryRange> describe(GuestMemory memory) {
        List<MemoryRange> map = new ArrayList<>();
        map.add(new MemoryRange(0, LOW_RAM_END, MemoryRange.Kind.RAM));
        map.add(new MemoryRange(LOW_RAM_END, EXTENDED_RAM - LOW_RAM_END, MemoryRange.Kind.RESERVED));
        for (GuestMemory.Bank bank : memory.banks()) {
            long start = Math.max(bank.address(), EXTENDED_RAM);
            if (bank.address() >= GuestMemory.HIGH_BASE) {
                addDevices(map);
            }
            map.add(new MemoryRange(start, bank.end() - start, MemoryRange.Kind.RAM));
        }
        if (memory.banks().size() == 1) {
            addDevices(map);
        }
        return List.copyOf(map);
    }

    private static void addDevices(List<MemoryRange> map) {
        map.add(new MemoryRange(IOAPIC_BASE, IOAPIC_SIZE, MemoryRange.Kind.RESERVED));
        map.add(new MemoryRange(LOCAL_APIC_BASE, LOCAL_APIC_SIZE, MemoryRange.Kind.RESERVED));
        map.add(new MemoryRange(FLASH_BASE, FLASH_SIZE, MemoryRange.Kind.RESERVED));
    }
}
