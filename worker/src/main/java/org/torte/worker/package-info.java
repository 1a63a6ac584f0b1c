/** Placeholder. */
package org.torte.worker;
