/** Placeholder. */
package org.torte.machine;
