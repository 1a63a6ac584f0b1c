package org.torte.machine;

/**
 * A part of guest-physical memory as firmware describes it (ACPI specification, "INT 15H, E820H").
 *
 * @param address first address
 * @param length bytes
 * @param kind what it is
 */
public record MemoryRange(long address, long length, Kind kind) {
    /** What memory is for. */
    public enum Kind {
        /** Free for the operating system. */
        RAM(1),
        /** Not to be used. */
        RESERVED(2),
        /** ACPI tables; may be used once they have been read. */
        ACPI_TABLES(3),
        /** ACPI's own working memory. */
        ACPI_NVS(4);

        private final int type;

        Kind(int type) {
            this.type = type;
        }

        /** The number of this kind in an E820 entry. */
        public int type() {
            return type;
        }
    }

    /** The first address after it. */
    public long end() {
        return address + length;
    }
}
