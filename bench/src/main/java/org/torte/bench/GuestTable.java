package org.torte.bench;

import java.util.Locale;

/** A table for docs/performance.md that is printed row by row, so that a run that ends early has not been in vain. */
final class GuestTable {
    /**
     * What something took.
     *
     * @param figure what the row's name says
     * @param processor seconds of the host's processors
     * @param exits of the virtual processor for each piece of the work, or NaN
     */
    record Cost(double figure, double processor, double exits) {}

    /** Prints the heading. */
    GuestTable(String torte, String qemu) {
        System.out.println("| | " + torte + " | its processor time, s | " + qemu
                + " | its processor time, s | Torte / QEMU | exits each |");
        System.out.println("|---|---|---|---|---|---|---|");
    }

    /** A row with both. */
    void row(String name, Cost torte, Cost qemu) {
        print(name, torte, text(qemu.figure), text(qemu.processor), text(torte.figure / qemu.figure));
    }

    /** A row that QEMU has no part in. */
    void row(String name, Cost torte) {
        print(name, torte, "", "", "");
    }

    private static void print(String name, Cost torte, String figure, String processor, String ratio) {
        System.out.println("| " + name + " | " + text(torte.figure) + " | " + text(torte.processor) + " | " + figure
                + " | " + processor + " | " + ratio + " | " + text(torte.exits) + " |");
    }

    private static String text(double value) {
        return Double.isNaN(value) ? "" : String.format(Locale.ROOT, "%.2f", value);
    }
}
