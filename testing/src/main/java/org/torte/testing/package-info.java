/** What tests and benchmarks need to work with real virtual machines. */
@NullMarked
package org.torte.testing;

import org.jspecify.annotations.NullMarked;
