package org.torte.network;

/**
 * A limit of how much may pass on average: tokens come at a steady rate up to a depth, and what passes takes some away.
 * One may pass as long as any are left, so that nothing is too large to pass; the next one then waits longer. Safe for
 * several threads.
 */
final class TokenBucket {
    private static final long SECOND = 1_000_000_000L;

    /** In nanoseconds: nobody waits that long. */
    private static final double LONGEST = 1e18;

    private final long perSecond;
    private final long depth;
    private final long nanosToFill;
    private long tokens;
    private long last;

    /**
     * A full bucket.
     *
     * @param perSecond at least 1
     * @param depth at least 1
     */
    TokenBucket(long perSecond, long depth, long now) {
        this.perSecond = perSecond;
        this.depth = depth;
        nanosToFill = (long) Math.min(LONGEST, Math.ceil((double) depth / perSecond * SECOND));
        tokens = depth;
        last = now;
    }

    /** Lets something pass if any tokens are left, and takes {@code cost} of them. */
    synchronized boolean take(long cost, long now) {
        fill(now);
        if (tokens <= 0) {
            return false;
        }
        tokens -= cost;
        return true;
    }

    /** Nanoseconds until something may pass. */
    synchronized long nanosToWait(long now) {
        fill(now);
        return tokens > 0 ? 0 : (long) Math.ceil((double) (1 - tokens) / perSecond * SECOND);
    }

    private void fill(long now) {
        long passed = now - last;
        if (passed >= nanosToFill && tokens >= 0) {
            tokens = depth;
            last = now;
            return;
        }
        long more = (long) ((double) passed / SECOND * perSecond);
        if (more > 0) {
            tokens = Math.min(depth, tokens + more);
            // Time that made no whole token stays on account.
            last = tokens == depth ? now : last + (long) ((double) more / perSecond * SECOND);
        }
    }
}
