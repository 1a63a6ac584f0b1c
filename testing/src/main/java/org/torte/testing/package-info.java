/** Placeholder. */
package org.torte.testing;
