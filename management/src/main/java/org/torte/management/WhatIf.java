package org.torte.management;

import java.util.concurrent.Callable;

/**
 * Asks whether something could be done, by all that refuses it when it is done: it goes on up to where it would begin to
 * change something, which every operation marks with {@link #wouldChange}, and not further. What only comes out in the
 * course of the work, such as a full disk, is not found so.
 */
public final class WhatIf {
    private static final ScopedValue<Boolean> ASKED = ScopedValue.newInstance();

    private WhatIf() {}

    /** All that could refuse it has been asked. */
    private static final class Reached extends RuntimeException {
        private static final long serialVersionUID = 1L;

        Reached() {
            super("an operation that is only asked about", null, false, false);
        }
    }

    /**
     * Runs an operation up to where it would change something, on this thread.
     *
     * @throws Problem why it cannot be done now
     */
    public static void check(Callable<?> operation) {
        try {
            ScopedValue.where(ASKED, true).call(() -> {
                Object _ = operation.call();
                return null;
            });
        } catch (Reached e) {
            return;
        } catch (RuntimeException e) {
            throw e;
        } catch (Exception e) {
            throw new IllegalStateException(e);
        }
    }

    /** From here on the operation changes something: one that is only asked about ends here. */
    public static void wouldChange() {
        if (asked()) {
            throw new Reached();
        }
    }

    /** Whether the operation that goes on on this thread is only asked about. */
    static boolean asked() {
        return ASKED.isBound();
    }
}
