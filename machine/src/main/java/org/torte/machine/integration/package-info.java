/**
 * The integration services: what a host knows of its guest and asks of it. Five of them are integration components that
 * share one framing ({@link org.torte.machine.integration.ServiceMessage}) and one way of agreeing on versions, which
 * {@link org.torte.machine.integration.ServiceLink} does for all: heartbeat, shutdown, time synchronisation, key-value
 * exchange and backup. Dynamic memory and the keyboard are devices with protocols of their own. Guests have their own
 * drivers for all of them (Linux: {@code hv_utils}, {@code hv_balloon}, {@code hyperv_keyboard}); key-value exchange and
 * backup also need the daemons of the distribution's {@code hyperv-daemons}.
 *
 * <p>The formats are those of the guests' drivers (Linux include/linux/hyperv.h, include/uapi/linux/hyperv.h,
 * drivers/hv/hv_balloon.c, drivers/input/serio/hyperv-keyboard.c); times are of the machine's clock, so that nothing runs
 * out while the machine stands.
 *
 * <p><b>Guests are hostile.</b> One request of a service is under way at a time and few wait; what comes unasked is
 * counted and forgotten; an answer is read once, within the length that has come.
 *
 * <p>Departures: values are read by enumeration, because Linux answers direct reads with an empty value; no file copy, no
 * hibernation, no hot-added memory.
 */
package org.torte.machine.integration;
