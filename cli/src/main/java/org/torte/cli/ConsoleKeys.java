package org.torte.cli;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import org.jspecify.annotations.Nullable;

/**
 * Separates what is typed for the guest from what is meant for Torte: Ctrl-A and a key. For one thread.
 */
public final class ConsoleKeys {
    static final int ESCAPE = 1;
    private static final int INTERRUPT = 3, DELETE = 0x7f;
    private static final int MAX_COMMAND = 4096;

    /** What a key after Ctrl-A does. */
    public interface Actions {
        /** x: ends Torte and with it the guest. */
        void quit();

        /** h or ?: shows the keys. */
        void help();

        /** s: saves the machine and ends. */
        void save();

        /** b: sends a break. */
        void sendBreak();

        /** c: a command is typed from now on. */
        void prompt();

        /** What is to be shown of it. */
        void echo(String text);

        /** It is complete; empty when it has been given up. */
        void command(String line);
    }

    private final Actions actions;
    private boolean escaped;
    /** A command for Torte that is being typed. */
    private @Nullable ByteArrayOutputStream line;

    /** Acts on keys as it is told. */
    public ConsoleKeys(Actions actions) {
        this.actions = actions;
    }

    /** Takes typed bytes, acts on those meant for Torte, and gives those meant for the guest. */
    public byte[] filter(byte[] typed, int length) {
        ByteArrayOutputStream forGuest = new ByteArrayOutputStream(length);
        for (int i = 0; i < length; i++) {
            int key = typed[i];
            ByteArrayOutputStream command = line;
            if (command != null) {
                edit(command, key);
                continue;
            }
            if (!escaped) {
                if (key == ESCAPE) {
                    escaped = true;
                } else {
                    forGuest.write(key);
                }
                continue;
            }
            escaped = false;
            switch (key) {
                case 'x', 'X' -> actions.quit();
                case 'h', 'H', '?' -> actions.help();
                case 's', 'S' -> actions.save();
                case 'b', 'B' -> actions.sendBreak();
                case 'c', 'C' -> {
                    line = new ByteArrayOutputStream();
                    actions.prompt();
                }
                case ESCAPE -> forGuest.write(ESCAPE);
                // Any other key was not meant for Torte, and neither was the one before.
                default -> {
                    forGuest.write(ESCAPE);
                    forGuest.write(key);
                }
            }
        }
        return forGuest.toByteArray();
    }

    private void edit(ByteArrayOutputStream command, int key) {
        switch (key) {
            case '\r', '\n' -> {
                line = null;
                actions.echo("\r\n");
                actions.command(command.toString(StandardCharsets.UTF_8));
            }
            case ESCAPE, INTERRUPT, '\u001b' -> {
                line = null;
                actions.echo("\r\n");
                actions.command("");
            }
            case '\b', DELETE -> {
                String text = command.toString(StandardCharsets.UTF_8);
                if (!text.isEmpty()) {
                    command.reset();
                    command.writeBytes(text.substring(0, text.offsetByCodePoints(text.length(), -1))
                            .getBytes(StandardCharsets.UTF_8));
                    actions.echo("\b \b");
                }
            }
            default -> {
                if ((key < 0 || key >= ' ') && command.size() < MAX_COMMAND) {
                    command.write(key);
                    actions.echo(key < 0 ? "" : String.valueOf((char) key));
                }
            }
        }
    }
}
