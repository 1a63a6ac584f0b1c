package org.torte.cli.output;

import com.fasterxml.jackson.core.util.DefaultIndenter;
import com.fasterxml.jackson.core.util.DefaultPrettyPrinter;
import com.fasterxml.jackson.core.util.Separators;
import com.fasterxml.jackson.jr.ob.JSON;
import java.io.IOException;
import java.io.UncheckedIOException;

/** Maps, lists, strings, numbers and booleans as JSON (RFC 8259) for people and programs: one member a line. */
public final class Json {
    private static final DefaultIndenter LINES = new DefaultIndenter("  ", "\n");
    private static final JSON WRITER = JSON.std.with(new DefaultPrettyPrinter()
            .withArrayIndenter(LINES)
            .withObjectIndenter(LINES)
            .withSeparators(Separators.createDefaultInstance()
                    .withObjectFieldValueSpacing(Separators.Spacing.AFTER)
                    .withArrayEmptySeparator("")
                    .withObjectEmptySeparator("")));

    private Json() {}

    /** The text, with a line end. */
    public static String of(Object value) {
        try {
            return WRITER.asString(value) + "\n";
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
