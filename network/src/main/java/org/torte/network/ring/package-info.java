/**
 * Frames between two processes through memory that both can write. For each direction there is a ring of bytes with one
 * producer and one consumer. The layout of a ring:
 *
 * <pre>
 *      0 where the producer is    8, bytes it has ever written
 *     64 where the consumer is    8, bytes it has ever taken
 *    128 the consumer sleeps      4, 1: ring for it when something is written
 *    192 the producer waits       4, 1: ring for it when half of the ring is free
 *   4096 data                     1 MiB
 * </pre>
 *
 * Numbers are in the host's order. Positions and records are multiples of 16. A record is in one piece:
 *
 * <pre>
 *  0 length                4, 0 to 65536; -1: nothing until the end of the ring
 *  4 flags                 4, as {@link org.torte.base.net.FrameBatch#flags}
 *  8 segment size          4
 * 12 VLAN tag              4, -1 for none
 * 16 bytes
 * </pre>
 *
 * The other process is hostile. Each side keeps its own position to itself and only shows it; the other one's is read once
 * and must make sense; the head of a record is read once and checked; bytes are copied out before anybody looks at them.
 */
package org.torte.network.ring;
