/** What goes through a port, written down for those who look for a fault: pcapng files, which Wireshark and others read. */
package org.torte.network.capture;
