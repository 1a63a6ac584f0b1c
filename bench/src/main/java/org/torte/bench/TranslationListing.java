package org.torte.bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.torte.hypervisor.software.translator.Listing;

/** Prints what the translator makes of a piece of machine code, page by page: see bench/listing. */
final class TranslationListing {
    private static final long PAGE = 0x1000;

    private TranslationListing() {}

    /** {@code FILE OFFSET SIZE ADDRESS}: where the piece lies in the file, and where it is executed; numbers as in Java. */
    public static void main(String[] args) throws IOException {
        byte[] file = Files.readAllBytes(Path.of(args[0]));
        int at = Math.toIntExact(Long.decode(args[1]));
        int end = at + Math.toIntExact(Long.decode(args[2]));
        long address = Long.decode(args[3]);
        while (at < end) {
            int size = (int) Math.min(end - at, PAGE - (address & PAGE - 1));
            Listing.of(Arrays.copyOfRange(file, at, at + size), address).forEach(System.out::println);
            at += size;
            address += size;
        }
    }
}
