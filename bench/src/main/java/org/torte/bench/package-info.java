/** Placeholder. */
package org.torte.bench;
