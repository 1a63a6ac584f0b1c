package org.torte.base;

/** The constants of docs/state-format.md. */
final class StateFormat {
    /** "TORTE", a line end of each kind that a text-mode copy would spoil, and a zero. */
    static final byte[] MAGIC = {'T', 'O', 'R', 'T', 'E', '\r', '\n', 0};

    static final int VERSION = 1;

    /** "SECT". */
    static final int SECTION = 0x54434553;

    /** The flag of sections that may be left unread. */
    static final int OPTIONAL = 1;

    /** The section that comes first: what the machine is. */
    static final String DEFINITION = "definition";

    /** A run of pages, in place of what came before of them. */
    static final String RAM = "ram";

    /** The version of {@link #RAM} with the pages' content. */
    static final int PAGES = 1;

    /** The version of {@link #RAM} for pages that are zero, of which there may be any number. */
    static final int ZEROES = 2;

    /** The bytes of the body of {@link #ZEROES}: address and number of pages. */
    static final int ZEROES_LENGTH = 12;

    /** The section that comes last: how many came before. */
    static final String END = "end";

    static final int MAX_NAME = 255;

    /** Pages in one {@link #RAM} section: 1 MiB. */
    static final int MAX_PAGES = 256;

    /** The most bytes of one section other than RAM. */
    static final int MAX_BODY = 64 << 20;

    /** The most sections other than RAM that a reader keeps, and the most bytes of their bodies together. */
    static final int MAX_SECTIONS = 1 << 16;

    static final long MAX_KEPT = 256L << 20;

    private StateFormat() {}
}
