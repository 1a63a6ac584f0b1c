package org.torte.network.gateway;

import java.time.Instant;

/**
 * How far a guest's clock is from the host's, as the guest says.
 *
 * @param skewMillis how much later it is there, in milliseconds; negative when it is earlier there. Half a day at most: the
 *     guest does not tell its date
 * @param uncertainMillis by how much that may be wrong, because answers take their time
 * @param measured when, by the host's clock
 */
public record GuestClock(long skewMillis, long uncertainMillis, Instant measured) {}
