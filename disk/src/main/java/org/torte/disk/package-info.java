/** Placeholder. */
package org.torte.disk;
