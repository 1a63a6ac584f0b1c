package org.torte.disk.vhd;

import java.io.IOException;
import org.torte.disk.DiskFile;
import org.torte.disk.Durability;

/**
 * The end of a file, where the footer is. A file must end with a valid footer after any crash, so the one at the new end
 * is durable before the old one may go.
 */
final class FileEnd {
    private FileEnd() {}

    /** Writes a footer at a position, durably: where it is, or where the file will end from now on. */
    static void put(DiskFile file, Durability durability, VhdFooter footer, long at) throws IOException {
        file.write(at, footer.encode());
        durability.modified();
        durability.force();
    }

    /** Ends the file with a footer at a position at or before where it ends now, durably. */
    static void cut(DiskFile file, Durability durability, VhdFooter footer, long at) throws IOException {
        put(file, durability, footer, at);
        file.truncate(at + VhdFooter.SIZE);
        durability.modified();
        durability.force();
    }
}
