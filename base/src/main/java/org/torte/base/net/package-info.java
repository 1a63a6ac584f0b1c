/**
 * Where virtual network adapters and virtual networks meet. A machine's adapter implements {@link
 * org.torte.base.net.NetworkAdapter}; whatever it is plugged into (a switch's port, the end of a cable) implements {@link
 * org.torte.base.net.NetworkPort}; frames travel between them in {@link org.torte.base.net.FrameBatch batches}.
 *
 * <p><b>Threads and locks.</b> Both sides may be called by any thread, by several at once, and on the same stack: {@code
 * send} of one adapter may end in {@code receive} of another one, or of itself. So nobody calls the other side while
 * holding a lock that a call from there takes. No call blocks.
 *
 * <p><b>Back-pressure.</b> A receiver that has no room takes fewer frames than it was given and says {@code
 * roomAvailable} when it has room again. Until then the sender keeps the rest in bounded memory, stops taking more from
 * where it gets them, or, where others must not wait for a slow receiver, drops and counts. A machine that stands takes
 * nothing; that may last for ever.
 */
package org.torte.base.net;
