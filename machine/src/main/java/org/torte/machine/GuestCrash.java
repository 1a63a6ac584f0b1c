package org.torte.machine;

/**
 * What a guest reported about its own failure (TLFS, "Guest Crash Enlightenment").
 *
 * @param p0 first parameter; Linux: the error code
 * @param p1 second parameter; Linux: the guest id
 * @param p2 third parameter; Linux: RIP
 * @param p3 fourth parameter; Linux: RAX
 * @param p4 fifth parameter; Linux: RSP
 * @param message the text that the guest left in its memory, empty when there is none
 */
public record GuestCrash(long p0, long p1, long p2, long p3, long p4, String message) {}
