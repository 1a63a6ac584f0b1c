/** Building frames: for the gateway and the host's ends, not for others. */
@NullMarked
package org.torte.network.wire;

import org.jspecify.annotations.NullMarked;
