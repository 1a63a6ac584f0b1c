/**
 * JMH benchmarks of the hot paths; {@code bench/run} starts them. The comparisons with other hypervisors are the scripts
 * beside it, and docs/performance.md keeps their last figures.
 */
@NullMarked
package org.torte.bench;

import org.jspecify.annotations.NullMarked;
