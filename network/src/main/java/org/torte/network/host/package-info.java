/**
 * The host's ends of networks, by its own calls and libraries through java.lang.foreign: TAP devices, and address
 * translation by libslirp for those who are not root. Libraries are loaded when they are needed.
 */
@NullMarked
package org.torte.network.host;

import org.jspecify.annotations.NullMarked;
