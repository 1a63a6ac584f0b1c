package org.torte.cli.management;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.torte.management.process.TerminalQueries;

class ConsoleSessionTest {
    /** E stands for the escape character. */
    @ParameterizedTest
    @CsvSource({
        "/root #E[6n, /root #",
        "aE[5nbE[?6nc, abc",
        "aE[cbE[0ccE[>cd, abcd",
        "E[1;31mredE[0m 6n [6n, E[1;31mredE[0m 6n [6n",
        "E[16nE[2JE[66C, E[16nE[2JE[66C"
    })
    void whatTheGuestAskedItsTerminalIsNotAskedAgain(String output, String shown) {
        byte[] replayed = TerminalQueries.removed(escapes(output));

        assertThat(replayed).isEqualTo(escapes(shown));
    }

    private static byte[] escapes(String text) {
        return text.replace('E', '\u001b').getBytes(StandardCharsets.ISO_8859_1);
    }
}
