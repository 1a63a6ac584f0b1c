/**
 * The process that has the switches of a host, and those who talk to it. {@code SwitchServer} is that process without its
 * {@code main}; {@link org.torte.network.process.SwitchLink} is what a machine's adapter in another process is plugged into; {@link
 * org.torte.network.process.SwitchClient} is for those who manage it.
 *
 * <p>All connect to one Unix-domain socket that keeps messages apart (SOCK_SEQPACKET), open to the process's own user and root.
 * A message is a byte, 1 when the next message goes on with the same text and 0 else, and a piece of JSON text. First the server
 * says {@code {"protocol":"torte-switch","version":2}}. A request is {@code {"id":1,"method":"...",...}}, its answer {@code
 * {"id":1,"result":{...}}} or {@code {"id":1,"error":"..."}}. Methods:
 *
 * <ul>
 *   <li>{@code reload}: reads the configuration ({@link org.torte.network.process.NetworkConfiguration}) again and makes it true;
 *       tells what of it cannot be
 *   <li>{@code status}: what there is
 *   <li>{@code connect}: this connection is the port {@code port} from now on. The answer carries two descriptors: memory with
 *       two rings ({@code org.torte.network.ring}), first the one to the switch; and a socket on which a byte, whichever, wakes
 *       the other side. From then on the server says {@code {"up":true,"speed":...,"mtu":...}} whenever the link
 *       changes, and whoever has connected says nothing more
 * </ul>
 *
 * The configuration is a file that the service writes, so the process can be started again by anybody and needs nobody to
 * tell it what there was.
 */
package org.torte.network.process;
