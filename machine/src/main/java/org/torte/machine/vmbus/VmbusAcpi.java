package org.torte.machine.vmbus;

import org.torte.machine.MemoryMap;
import org.torte.machine.acpi.Aml;

/** How ACPI describes the bus, by which guests find it. */
public final class VmbusAcpi {
    private VmbusAcpi() {}

    /** A module device with the addresses that devices on the bus may take, and the bus below it. */
    public static byte[] terms() {
        return Aml.device(
                "VMOD",
                Aml.name("_HID", Aml.string("ACPI0004")),
                Aml.name("_UID", Aml.integer(0)),
                Aml.name(
                        "_CRS",
                        Aml.resources(
                                Aml.window32(MemoryMap.VMBUS_BASE, MemoryMap.VMBUS_SIZE),
                                Aml.window64(MemoryMap.HIGH_BASE, MemoryMap.HIGH_SIZE))),
                Aml.device(
                        "VMBS",
                        Aml.name("_HID", Aml.string("VMBus")),
                        Aml.name("_UID", Aml.integer(0)),
                        Aml.name("_STA", Aml.integer(0xf)),
                        Aml.name("_CRS", Aml.resources())));
    }
}
