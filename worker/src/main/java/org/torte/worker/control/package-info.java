/**
 * How other processes steer a running machine: a Unix-domain socket with one JSON object a line, which docs/control.md
 * describes. {@link org.torte.worker.control.ControlCommands} is what can be asked, for the socket and for the terminal;
 * {@link org.torte.worker.control.ControlServer} and {@link org.torte.worker.control.ControlClient} are the two ends.
 *
 * <p>Whoever may open the socket has the rights of the process, so it is open to its owner and to root only. Beyond that
 * clients are bounded: in number, in the length of a line, in requests under way, and in what is kept for one that does
 * not read.
 */
package org.torte.worker.control;
