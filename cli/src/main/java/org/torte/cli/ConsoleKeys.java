package org.torte.cli;

import java.io.ByteArrayOutputStream;

/**
 * Separates what is typed for the guest from what is meant for Torte: Ctrl-A and a key. For one thread.
 */
final class ConsoleKeys {
    static final int ESCAPE = 1;

    /** What a key after Ctrl-A does. */
    interface Actions {
        /** x: ends Torte and with it the guest. */
        void quit();

        /** h or ?: shows the keys. */
        void help();

        /** s: saves the machine and ends. */
        void save();

        /** b: sends a break. */
        void sendBreak();
    }

    private final Actions actions;
    private boolean escaped;

    ConsoleKeys(Actions actions) {
        this.actions = actions;
    }

    /** Takes typed bytes, acts on those meant for Torte, and gives those meant for the guest. */
    byte[] filter(byte[] typed, int length) {
        ByteArrayOutputStream forGuest = new ByteArrayOutputStream(length);
        for (int i = 0; i < length; i++) {
            int key = typed[i];
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
}
