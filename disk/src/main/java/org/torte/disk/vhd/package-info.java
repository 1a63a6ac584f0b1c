/**
 * VHD after the "Virtual Hard Disk Image Format Specification" 1.0: fixed, dynamic and differencing images up to 2040
 * GiB. Departures, each because of what Windows and Virtual PC write: the size is the footer's current size and not
 * what the geometry gives, unless the creator is known to mean the geometry; the "platform data space" of a locator is
 * ignored in favour of its length; the parent's time stamp is not compared.
 *
 * <p>VHD has no log. What replaces it is order: space is forced before the block table refers to it, see
 * {@link org.torte.disk.vhd.DynamicImage}.
 */
@org.jspecify.annotations.NullMarked
package org.torte.disk.vhd;
