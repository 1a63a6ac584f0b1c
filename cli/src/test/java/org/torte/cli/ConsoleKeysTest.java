package org.torte.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class ConsoleKeysTest {
    private final List<String> done = new ArrayList<>();
    private final StringBuilder echoed = new StringBuilder();
    private final ConsoleKeys keys = new ConsoleKeys(new ConsoleKeys.Actions() {
        @Override
        public void quit() {
            done.add("quit");
        }

        @Override
        public void help() {
            done.add("help");
        }

        @Override
        public void save() {
            done.add("save");
        }

        @Override
        public void sendBreak() {
            done.add("break");
        }

        @Override
        public void prompt() {
            done.add("prompt");
        }

        @Override
        public void echo(String text) {
            echoed.append(text);
        }

        @Override
        public void command(String line) {
            done.add("command " + line);
        }
    });

    @Test
    void ordinaryKeysGoToTheGuest() {
        assertThat(type("ls\r\3\4")).isEqualTo("ls\r\3\4");
        assertThat(done).isEmpty();
    }

    @Test
    void ctrlAAndAKeyAreForTorte() {
        assertThat(type("a\1hb\1sc\1bd\1xe")).isEqualTo("abcde");
        assertThat(done).containsExactly("help", "save", "break", "quit");
    }

    @Test
    void aCommandIsTypedEditedAndKeptFromTheGuest() {
        assertThat(type("a\1cstatuss\b\rb")).isEqualTo("ab");
        assertThat(type("\1cpause\1c")).isEqualTo("c");
        assertThat(done).containsExactly("prompt", "command status", "prompt", "command ");
        assertThat(echoed).hasToString("statuss\b \b\r\npause\r\n");
    }

    @Test
    void ctrlATwiceSendsItOnce() {
        assertThat(type("\1\1")).isEqualTo("\1");
    }

    @Test
    void theKeyMayComeInTheNextRead() {
        assertThat(type("x\1")).isEqualTo("x");
        assertThat(type("xy")).isEqualTo("y");
        assertThat(done).containsExactly("quit");
    }

    @Test
    void otherKeysAfterCtrlAGoToTheGuestWithIt() {
        assertThat(type("\1e")).isEqualTo("\1e");
    }

    private String type(String text) {
        byte[] typed = text.getBytes(StandardCharsets.ISO_8859_1);
        return new String(keys.filter(typed, typed.length), StandardCharsets.ISO_8859_1);
    }
}
